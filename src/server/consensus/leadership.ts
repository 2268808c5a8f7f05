// Who leads, and handing leadership over.

import type { Timer } from '../../env/index.ts';
import { formatId } from '../../membership/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { MemberCore } from '../core.ts';
import { requestTimeoutMs } from '../limits.ts';

/** A caller that waits for a member to lead. */
interface Wait {
  readonly leader: bigint;
  readonly timer: Timer;
  readonly settle: (error: EtcdErrorName | undefined) => void;
}

export class Leadership {
  readonly #core: MemberCore;
  readonly #waits = new Set<Wait>();
  /** When the present leader became known, on the monotonic clock; of the first one, never. */
  electedMs: number = Number.NEGATIVE_INFINITY;

  constructor(core: MemberCore) {
    this.#core = core;
  }

  /** Another leader is known. */
  acceptLeader(leader: bigint): void {
    this.electedMs = this.#core.env.clock.monotonicMs();
    for (const wait of this.#waits) {
      if (wait.leader === leader) this.#settle(wait, undefined);
    }
  }

  /** Hands leadership to `transferee`; resolves to the error, if it could not. */
  async moveTo(transferee: bigint): Promise<EtcdErrorName | undefined> {
    const { machine, log, memberId, raft, env, config } = this.#core;
    const member = machine.cluster.member(transferee);
    if (member === undefined || member.isLearner) return 'BAD_LEADER_TRANSFEREE';
    const fields = {
      'local-member-id': formatId(memberId),
      'old-leader-member-id': formatId(raft.leader),
      'new-leader-member-id': formatId(transferee),
    };
    log.info('leadership transfer starting', fields);
    if (raft.leader === transferee) return undefined;
    const done = this.#whenLeads(transferee, requestTimeoutMs(config.electionMs));
    const began = env.clock.monotonicMs();
    this.#core.transferLeader(transferee);
    const error = await done;
    if (error === undefined) {
      const tookMs = Math.round(env.clock.monotonicMs() - began);
      log.info('leadership transfer finished', { ...fields, 'took-ms': tookMs });
    }
    return error;
  }

  /** Before a leader stops: the others need not wait for an election timeout. */
  async handOver(): Promise<void> {
    const { machine, log, memberId, raft, peers } = this.#core;
    const voters = machine.cluster.votingMembers();
    const fields = { 'local-member-id': formatId(memberId) };
    if (raft.leader !== memberId) {
      log.info('skipped leadership transfer; local server is not leader', fields);
      return;
    }
    if (voters.length < 2) {
      log.info('skipped leadership transfer for single voting member cluster', fields);
      return;
    }
    const transferee = peers.longestConnected(voters);
    const error = transferee === undefined ? 'UNHEALTHY' : await this.moveTo(transferee);
    if (error !== undefined) log.warn('leadership transfer failed', { ...fields, error });
  }

  stop(): void {
    for (const wait of this.#waits) this.#settle(wait, 'STOPPED');
  }

  #whenLeads(leader: bigint, timeoutMs: number): Promise<EtcdErrorName | undefined> {
    return new Promise((resolve) => {
      const timer = this.#core.env.timers.after(timeoutMs, () =>
        this.#settle(wait, 'TIMEOUT_LEADER_TRANSFER'),
      );
      const wait: Wait = { leader, timer, settle: resolve };
      this.#waits.add(wait);
    });
  }

  #settle(wait: Wait, error: EtcdErrorName | undefined): void {
    wait.timer.cancel();
    this.#waits.delete(wait);
    wait.settle(error);
  }
}
