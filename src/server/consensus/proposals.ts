// Proposals that wait for their entry to be applied, by request id.
//
// A proposal is one object with `complete` and `fail`, made by the service that wants the answer:
// no promise and no closure per request. All proposals have the same time limit, so they expire in
// the order in which they were made, which is the order of the map.

import { invariant } from '../../base/index.ts';
import type { Clock } from '../../env/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { ConfChange } from '../../raft/index.ts';
import type { ApplyResult } from '../../store/index.ts';
import { encodeEnvelope, type RequestKind, type RequestUser } from '../../store/index.ts';
import { APPLY_BACKLOG_MAX, requestTimeoutMs } from '../limits.ts';
import type { Proposer, ReadyLoop } from './ready-loop.ts';
import { type RequestIds, splitRequestId } from './request-ids.ts';

/** The caller that waits for an entry. Exactly one of the methods is called, once, and must not throw. */
export interface Proposal {
  complete(result: ApplyResult): void;
  fail(error: EtcdErrorName): void;
  /**
   * Asked before raft takes what may have waited; false if the caller has got its answer already
   * (a timeout). Without this method it is always wanted.
   */
  isWanted?(): boolean;
}

/** A proposal that waits to be taken by raft, then to be applied. */
class Pending implements Proposer {
  readonly proposal: Proposal;
  readonly sinceMs: number;
  readonly #idLow: number;
  readonly #all: Map<number, Pending>;

  constructor(proposal: Proposal, sinceMs: number, idLow: number, all: Map<number, Pending>) {
    this.proposal = proposal;
    this.sinceMs = sinceMs;
    this.#idLow = idLow;
    this.#all = all;
  }

  isWanted(): boolean {
    return this.proposal.isWanted?.() ?? true;
  }

  drop(): void {
    this.#all.delete(this.#idLow);
  }
}

export interface ProposalsOptions {
  readonly ids: RequestIds;
  readonly loop: Pick<
    ReadyLoop,
    'hasRoom' | 'propose' | 'proposeAsLeader' | 'proposeConfChange' | 'expire'
  >;
  readonly clock: Clock;
  /** Committed entries that are not applied yet. */
  readonly backlog: () => number;
  /** Largest payload in bytes. */
  readonly requestBytesMax: number;
  readonly electionMs: number;
  /** Which of etcd's timeouts it is, for a proposal made then. */
  readonly timeoutError: (sinceMs: number) => EtcdErrorName;
}

export class Proposals {
  readonly #options: ProposalsOptions;
  readonly #timeoutMs: number;
  /** By the lower part of the request id. */
  readonly #pending = new Map<number, Pending>();
  #stopped = false;

  /** Counters for the metrics of the same names. */
  failedCount = 0;

  constructor(options: ProposalsOptions) {
    this.#options = options;
    this.#timeoutMs = requestTimeoutMs(options.electionMs);
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /**
   * Proposes an operation in the name of `caller`, whose encoded request is `body[start, end)` (copied
   * before return). The proposal hears of it in this turn if it is refused, in a later one otherwise.
   */
  propose(
    kind: RequestKind,
    caller: RequestUser | undefined,
    body: Uint8Array,
    start: number,
    end: number,
    proposal: Proposal,
  ): void {
    const { ids, loop, backlog, requestBytesMax } = this.#options;
    if (this.#stopped) {
      proposal.fail('STOPPED');
      return;
    }
    if (backlog() > APPLY_BACKLOG_MAX || !loop.hasRoom) {
      proposal.fail('REQUEST_TOO_MANY_REQUESTS');
      return;
    }
    const idLow = ids.next();
    const payload = encodeEnvelope(kind, ids.high, idLow, body, start, end, caller);
    if (payload.length > requestBytesMax) {
      proposal.fail('REQUEST_TOO_LARGE');
      return;
    }
    loop.propose(payload, this.#wait(idLow, proposal));
  }

  /**
   * Proposes what only a leader may say. It fails with NOT_LEADER, in place of being passed on, if
   * this member does not lead at the end of the turn.
   */
  proposeAsLeader(kind: RequestKind, body: Uint8Array, proposal: Proposal): void {
    const { ids, loop } = this.#options;
    if (this.#stopped) {
      proposal.fail('STOPPED');
      return;
    }
    const idLow = ids.next();
    const payload = encodeEnvelope(kind, ids.high, idLow, body, 0, body.length);
    this.#wait(idLow, proposal);
    loop.proposeAsLeader(payload, () => this.take(ids.high, idLow)?.fail('NOT_LEADER'));
  }

  /** Proposes a payload of the v2 dialect, which is made for the id that it gets. */
  proposeV2(encode: (id: bigint) => Uint8Array, proposal: Proposal): void {
    const { ids, loop } = this.#options;
    if (this.#stopped) {
      proposal.fail('STOPPED');
      return;
    }
    if (!loop.hasRoom) {
      proposal.fail('REQUEST_TOO_MANY_REQUESTS');
      return;
    }
    const idLow = ids.next();
    loop.propose(encode(ids.whole(idLow)), this.#wait(idLow, proposal));
  }

  /** Proposes a membership change, which gets an id here. */
  proposeConfChange(change: Omit<ConfChange, 'id'>, proposal: Proposal): void {
    const { ids, loop } = this.#options;
    if (this.#stopped) {
      proposal.fail('STOPPED');
      return;
    }
    if (!loop.hasRoom) {
      proposal.fail('REQUEST_TOO_MANY_REQUESTS');
      return;
    }
    const idLow = ids.next();
    loop.proposeConfChange(
      { ...change, id: ids.whole(idLow) },
      this.#wait(idLow, proposal).sinceMs,
    );
  }

  #wait(idLow: number, proposal: Proposal): Pending {
    invariant(!this.#pending.has(idLow), 'a request id is given out once');
    const sinceMs = this.#options.clock.monotonicMs();
    const pending = new Pending(proposal, sinceMs, idLow, this.#pending);
    this.#pending.set(idLow, pending);
    return pending;
  }

  /** The proposal of an applied entry, if it was made here and is still waited for. */
  take(idHigh: number, idLow: number): Proposal | undefined {
    if (idHigh !== this.#options.ids.high) return undefined;
    const pending = this.#pending.get(idLow);
    if (pending === undefined) return undefined;
    this.#pending.delete(idLow);
    return pending.proposal;
  }

  /** {@link take} by the whole id. */
  takeWhole(id: bigint): Proposal | undefined {
    return this.take(...splitRequestId(id));
  }

  /** Whether a caller on this member waits for this entry's result. */
  isAwaited(idHigh: number, idLow: number): boolean {
    return idHigh === this.#options.ids.high && this.#pending.has(idLow);
  }

  /**
   * Gives up what has waited too long: what became of it is unknown to the client. What raft has not
   * even taken is not proposed any more.
   */
  expire(): void {
    const madeBefore = this.#options.clock.monotonicMs() - this.#timeoutMs;
    this.#options.loop.expire(madeBefore);
    for (const [idLow, { proposal, sinceMs }] of this.#pending) {
      if (sinceMs > madeBefore) return;
      this.#pending.delete(idLow);
      this.failedCount++;
      proposal.fail(this.#options.timeoutError(sinceMs));
    }
  }

  /** The member stops: fails every waiting proposal. */
  stop(): void {
    this.#stopped = true;
    for (const { proposal } of this.#pending.values()) proposal.fail('STOPPED');
    this.#pending.clear();
  }
}
