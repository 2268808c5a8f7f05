// Proposals that wait for their entry to be applied, by request id.
//
// A proposal is one object with `complete` and `fail`, made by the service that answers the client: no
// promise and no closure per request. All proposals have the same timeout.

import { invariant, SequenceMap } from '../../base/index.ts';
import type { Clock } from '../../env/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { ConfChange } from '../../raft/index.ts';
import type { ApplyResult } from '../../store/index.ts';
import {
  encodeEnvelope,
  REQUEST_KIND,
  type RequestKind,
  type RequestUser,
} from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { APPLY_BACKLOG_MAX, PRIORITY_BACKLOG_MAX, requestTimeoutMs } from '../limits.ts';
import type { RequestTimes } from '../telemetry/request-times.ts';
import type { Proposer } from './proposal-queue.ts';
import type { RaftState } from './raft-state.ts';
import type { ReadyLoop } from './ready-loop.ts';
import { type RequestIds, splitRequestId } from './request-ids.ts';
import { type TimeoutErrorParts, timeoutErrorOf } from './timeout-error.ts';
import type { ProposalTracing } from './tracing.ts';

/** The caller that waits for an entry. Exactly one of the methods is called, once, and must not throw. */
export interface Proposal {
  complete(result: ApplyResult): void;
  fail(error: EtcdErrorName): void;
  /**
   * Called before raft takes a proposal that waited; false if the caller has been answered already
   * (a timeout). Without this method it is always wanted.
   */
  isWanted?(): boolean;
}

const { NONE } = REQUEST_KIND;

/** A proposal that waits for raft to take it, then for its entry to be applied. */
class Pending implements Proposer {
  /** NONE: it is not measured. */
  readonly kind: RequestKind;
  readonly proposal: Proposal;
  readonly sinceMs: number;
  readonly #idLow: number;
  readonly #all: Proposals;

  constructor(
    kind: RequestKind,
    proposal: Proposal,
    sinceMs: number,
    idLow: number,
    all: Proposals,
  ) {
    this.kind = kind;
    this.proposal = proposal;
    this.sinceMs = sinceMs;
    this.#idLow = idLow;
    this.#all = all;
  }

  isWanted(): boolean {
    return this.proposal.isWanted?.() ?? true;
  }

  drop(): void {
    this.#all.drop(this.#idLow);
  }
}

interface ProposalsParts extends TimeoutErrorParts {
  readonly tracing?: ProposalTracing | undefined;
  readonly config: Pick<ServerConfig, 'electionMs' | 'featureGates'> & {
    readonly grpc: Pick<ServerConfig['grpc'], 'maxRequestBytes'>;
  };
  /** Times of proposals tolerate that it stands still within a turn. */
  readonly turnClock: Pick<Clock, 'monotonicMs'>;
  readonly requestTimes: Pick<RequestTimes, 'observe'>;
  readonly requestIds: RequestIds;
  readonly loop: Pick<
    ReadyLoop,
    'hasRoom' | 'propose' | 'proposeAsLeader' | 'proposeConfChange' | 'expire'
  >;
  readonly raft: Pick<RaftState, 'leader' | 'committedIndex' | 'appliedIndex'>;
}

export class Proposals {
  readonly #parts: ProposalsParts;
  /** Used for each proposal. */
  readonly #ids: RequestIds;
  readonly #timeoutMs: number;
  /** By the lower part of the request id. */
  readonly #pending = new SequenceMap<Pending>();
  #stopped = false;

  /** Counters for the metrics of the same names. */
  failedCount = 0;
  /** Since when the proposal waited that was taken last; monotonic milliseconds. */
  takenSinceMs = 0;

  constructor(parts: ProposalsParts) {
    this.#parts = parts;
    this.#ids = parts.requestIds;
    this.#timeoutMs = requestTimeoutMs(parts.config.electionMs);
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /**
   * Proposes an operation on behalf of `caller`, whose encoded request is `body[start, end)` (copied before
   * return). A refusal calls `fail` in this turn; else the proposal is settled in a later one.
   */
  propose(
    kind: RequestKind,
    caller: RequestUser | undefined,
    body: Uint8Array,
    start: number,
    end: number,
    proposal: Proposal,
  ): void {
    const { loop, raft, config } = this.#parts;
    if (this.#refuses(proposal)) return;
    const backlog = raft.committedIndex - raft.appliedIndex;
    if (backlog > APPLY_BACKLOG_MAX && !this.#mayGoBefore(kind, backlog)) {
      proposal.fail('REQUEST_TOO_MANY_REQUESTS');
      return;
    }
    const ids = this.#ids;
    const idLow = ids.next();
    const payload = encodeEnvelope(kind, ids.high, idLow, body, start, end, caller);
    if (payload.length > config.grpc.maxRequestBytes) {
      this.#parts.requestTimes.observe(kind, false, 0);
      proposal.fail('REQUEST_TOO_LARGE');
      return;
    }
    loop.propose(payload, this.#wait(kind, idLow, proposal));
  }

  /** Whether the feature gate PriorityRequest lets this operation through all the same. */
  #mayGoBefore(kind: RequestKind, backlog: number): boolean {
    const { PriorityRequest } = this.#parts.config.featureGates.enabled;
    return PriorityRequest && kind === REQUEST_KIND.LEASE_REVOKE && backlog <= PRIORITY_BACKLOG_MAX;
  }

  /**
   * Proposes an entry that only a leader may propose, on behalf of `caller`. It fails with NOT_LEADER,
   * instead of being forwarded, if this member does not lead at the end of the turn.
   */
  proposeAsLeader(
    kind: RequestKind,
    caller: RequestUser | undefined,
    body: Uint8Array,
    proposal: Proposal,
  ): void {
    const ids = this.#ids;
    if (this.#stopped) {
      proposal.fail('STOPPED');
      return;
    }
    const idLow = ids.next();
    const payload = encodeEnvelope(kind, ids.high, idLow, body, 0, body.length, caller);
    this.#wait(kind, idLow, proposal);
    this.#parts.loop.proposeAsLeader(payload, () => this.drop(idLow)?.fail('NOT_LEADER'));
  }

  /** Proposes a payload of the v2 dialect, encoded with the request id that it gets. */
  proposeV2(encode: (id: bigint) => Uint8Array, proposal: Proposal): void {
    if (this.#refuses(proposal)) return;
    const ids = this.#ids;
    const idLow = ids.next();
    this.#parts.loop.propose(encode(ids.whole(idLow)), this.#wait(NONE, idLow, proposal));
  }

  /** Proposes a membership change, with a new request id. */
  proposeConfChange(change: Omit<ConfChange, 'id'>, proposal: Proposal): void {
    if (this.#refuses(proposal)) return;
    const ids = this.#ids;
    const idLow = ids.next();
    this.#parts.loop.proposeConfChange(
      { ...change, id: ids.whole(idLow) },
      this.#wait(NONE, idLow, proposal).sinceMs,
    );
  }

  /** Refuses a proposal while the member stops, and at the bounds of the ready loop. */
  #refuses(proposal: Proposal): boolean {
    if (this.#stopped) proposal.fail('STOPPED');
    else if (!this.#parts.loop.hasRoom) proposal.fail('REQUEST_TOO_MANY_REQUESTS');
    else return false;
    return true;
  }

  #wait(kind: RequestKind, idLow: number, proposal: Proposal): Pending {
    invariant(!this.#pending.has(idLow), 'a request id is given out once');
    const sinceMs = this.#parts.turnClock.monotonicMs();
    const { tracing } = this.#parts;
    const followed = tracing === undefined ? proposal : tracing.follow(idLow, proposal);
    const pending = new Pending(kind, followed, sinceMs, idLow, this);
    invariant(!this.#stopped, 'a member that stops takes no proposals');
    this.#pending.add(idLow, pending);
    return pending;
  }

  /** Removes and returns the proposal of an applied entry, if it was made here and still waits. */
  take(idHigh: number, idLow: number): Proposal | undefined {
    if (idHigh !== this.#ids.high) return undefined;
    const pending = this.#pending.get(idLow);
    if (pending === undefined) return undefined;
    invariant(this.#pending.delete(idLow), 'a proposal is taken once');
    this.takenSinceMs = pending.sinceMs;
    this.#observe(pending, true);
    return pending.proposal;
  }

  /** Removes and returns a proposal that raft will not get. */
  drop(idLow: number): Proposal | undefined {
    const pending = this.#pending.get(idLow);
    if (pending === undefined) return undefined;
    this.#pending.delete(idLow);
    this.#observe(pending, false);
    return pending.proposal;
  }

  #observe({ kind, sinceMs }: Pending, success: boolean): void {
    if (kind === NONE) return;
    const { requestTimes, turnClock } = this.#parts;
    requestTimes.observe(kind, success, turnClock.monotonicMs() - sinceMs);
  }

  /** {@link take} by the whole id. */
  takeWhole(id: bigint): Proposal | undefined {
    return this.take(...splitRequestId(id));
  }

  /** Whether a caller on this member waits for this entry's result. */
  isAwaited(idHigh: number, idLow: number): boolean {
    return idHigh === this.#ids.high && this.#pending.has(idLow);
  }

  /**
   * Fails proposals after their timeout: their outcome is unknown to the client. Those that raft has not
   * taken are dropped.
   */
  expire(): void {
    const madeBefore = this.#parts.turnClock.monotonicMs() - this.#timeoutMs;
    this.#parts.loop.expire(madeBefore);
    for (const idLow of this.#madeUntil(madeBefore)) {
      const pending = this.#pending.get(idLow);
      if (pending === undefined) continue;
      this.failedCount++;
      this.drop(idLow)!.fail(timeoutErrorOf(this.#parts, pending.sinceMs));
    }
  }

  /** The member stops: fails every waiting proposal. */
  stop(): void {
    this.#stopped = true;
    for (const idLow of this.#madeUntil(Number.POSITIVE_INFINITY))
      this.drop(idLow)?.fail('STOPPED');
    invariant(this.#pending.size === 0, 'nothing is proposed while the member stops');
  }

  /** Ids of what waits and was made at `madeMs` or before, oldest first; who is failed may propose again. */
  #madeUntil(madeMs: number): number[] {
    const ids: number[] = [];
    for (const [idLow, { sinceMs }] of this.#pending.entries())
      if (sinceMs <= madeMs) ids.push(idLow);
    return ids.sort((a, b) => a - b);
  }
}
