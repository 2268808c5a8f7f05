// The leader, whether this member's leadership is certain, and leadership transfer.

import type { Env, Timer } from '../../env/index.ts';
import { formatId } from '../../membership/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { requestTimeoutMs, STALE_TICKS_MAX } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import { PauseDetector } from './pause-detector.ts';
import type { PeerLinks } from './peer-links.ts';
import type { RaftState } from './raft-state.ts';
import type { ReadIndexQueue } from './read-index-queue.ts';
import type { ReadyLoop } from './ready-loop.ts';
import type { StoreView } from './store-view.ts';

interface LeadershipParts {
  readonly memberId: bigint;
  readonly config: Pick<ServerConfig, 'electionMs' | 'heartbeatMs'>;
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly log: Logger;
  readonly raft: Pick<RaftState, 'leader' | 'leads'>;
  readonly loop: Pick<ReadyLoop, 'transferLeader'>;
  readonly reads: Pick<ReadIndexQueue, 'whenLinearizable'>;
  readonly store: StoreView<'cluster'>;
  readonly peers: Pick<PeerLinks, 'longestConnected'>;
  readonly membership: { readonly isAlone: boolean };
}

/** A caller that waits until a certain member leads. */
interface Wait {
  readonly leader: bigint;
  readonly timer: Timer;
  readonly settle: (error: EtcdErrorName | undefined) => void;
}

export class Leadership {
  readonly #parts: LeadershipParts;
  readonly #pauses: PauseDetector;
  readonly #waits = new Set<Wait>();
  /** When the current leader became known, on the monotonic clock; of the first one, -Infinity. */
  electedMs: number = Number.NEGATIVE_INFINITY;

  constructor(parts: LeadershipParts) {
    const { env, config } = parts;
    this.#parts = parts;
    this.#pauses = new PauseDetector(env.clock, STALE_TICKS_MAX * config.heartbeatMs);
  }

  /**
   * Whether this member leads and was not paused so long that it may have been replaced, or has confirmed
   * its leadership since. Without it, only {@link confirm} allows leader-only decisions. Nobody can
   * replace the only voter.
   */
  get isSure(): boolean {
    const { raft, membership } = this.#parts;
    return raft.leads && (membership.isAlone || this.#pauses.areConfirmed);
  }

  /** Confirms the leadership by a read index unless {@link isSure}; resolves to the result. */
  async confirm(): Promise<boolean> {
    if (this.isSure) return true;
    const ask = async () => (await this.#parts.reads.whenLinearizable()) === undefined;
    return (await this.#pauses.confirm(ask)) && this.isSure;
  }

  tick(): void {
    this.#pauses.notice();
  }

  /** Another leader is known. */
  acceptLeader(leader: bigint): void {
    this.electedMs = this.#parts.env.clock.monotonicMs();
    for (const wait of this.#waits) {
      if (wait.leader === leader) this.#settle(wait, undefined);
    }
  }

  /** Transfers leadership to `transferee`; resolves to the error, if there is one. */
  async moveTo(transferee: bigint): Promise<EtcdErrorName | undefined> {
    const { store, log, memberId, raft, loop, env, config } = this.#parts;
    const member = store.machine.cluster.member(transferee);
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
    loop.transferLeader(transferee);
    const error = await done;
    if (error === undefined) {
      const tookMs = Math.round(env.clock.monotonicMs() - began);
      log.info('leadership transfer finished', { ...fields, 'took-ms': tookMs });
    }
    return error;
  }

  /** Transfers leadership before a stop, so that the others need not wait for an election timeout. */
  async handOver(): Promise<void> {
    const { store, log, memberId, raft, peers } = this.#parts;
    const voters = store.machine.cluster.votingMembers();
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
      const timer = this.#parts.env.timers.after(timeoutMs, () =>
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
