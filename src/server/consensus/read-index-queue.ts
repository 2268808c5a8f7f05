// Linearizable reads (etcd's linearizableReadLoop): their read index, and when it is applied.
//
// One read index is requested at a time, at the end of a turn. Reads that arrive during a round wait for
// the next one, which serves them all; a read must not join a round that was requested before it arrived,
// since the read index could be older than the read.
//
//     waiting ──nextContext──► round ──ReadState(index)──► confirmed ──applied >= index──► served

import { equalBytes, invariant } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { ReadState } from '../../raft/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { READ_RETRY_MS, READS_BYTES_MAX, READS_WAITING_MAX, requestTimeoutMs } from '../limits.ts';
import type { SlowRequests } from '../telemetry/slow-requests.ts';
import type { ReadyLoop } from './ready-loop.ts';
import type { RequestIds } from './request-ids.ts';
import type { StoreView } from './store-view.ts';

/** The caller that waits for a read. Exactly one of the methods is called, once, and must not throw. */
export interface Read {
  /** The state machine now shows everything acknowledged before the read arrived. */
  serve(): void;
  fail(error: EtcdErrorName): void;
}

interface ReadIndexQueueParts {
  readonly config: Pick<ServerConfig, 'electionMs'>;
  readonly env: Pick<Env, 'clock'>;
  /** Ids of rounds: a leader distinguishes the requests of several members by them. */
  readonly requestIds: Pick<RequestIds, 'nextWhole'>;
  /** Calls {@link ReadIndexQueue.nextContext} at the end of a turn for which it was scheduled. */
  readonly loop: Pick<ReadyLoop, 'schedule'>;
  readonly store: StoreView<'appliedIndex'>;
  readonly slow: Pick<SlowRequests, 'nowMs' | 'endReadIndex'>;
}

interface Round {
  /**
   * Contexts of the requests, a new one for each retry: for a leader of etcd before 3.7 a context stands
   * for all reads up to it, so that late responses to the first context would confirm the second. A
   * response to any of them is valid.
   */
  readonly contexts: Uint8Array[];
  readonly reads: Read[];
  /** Bytes of their requests. */
  readonly bytes: number;
  readonly deadlineMs: number;
  /** Time of the last request; a lost one is repeated. */
  askedMs: number;
}

/** Reads whose index is known but not applied yet. */
interface Confirmed {
  readonly index: number;
  readonly reads: Read[];
  readonly bytes: number;
  /** When the round began, and its answer came; the index that was applied then. */
  readonly beganMs: number;
  readonly receivedMs: number;
  readonly appliedThen: number;
}

export class ReadIndexQueue {
  readonly #parts: ReadIndexQueueParts;
  readonly #timeoutMs: number;
  #waiting: Read[] = [];
  #waitingBytes = 0;
  #round: Round | undefined;
  #confirmed: Confirmed[] = [];
  #stopped = false;

  /** Counters for metrics: failed rounds, and retries and timeouts. */
  failedCount = 0;
  slowCount = 0;
  /** Reads that wait for a round, its response or its index. */
  #held = 0;
  #heldBytes = 0;

  constructor(parts: ReadIndexQueueParts) {
    this.#parts = parts;
    this.#timeoutMs = requestTimeoutMs(parts.config.electionMs);
  }

  /** `bytes`: size of the request that the read holds in memory. */
  request(read: Read, bytes = 0): void {
    if (this.#stopped) read.fail('STOPPED');
    else if (
      this.#held >= READS_WAITING_MAX ||
      (this.#held > 0 && this.#heldBytes + bytes > READS_BYTES_MAX)
    ) {
      read.fail('REQUEST_TOO_MANY_REQUESTS');
    } else {
      this.#held++;
      this.#heldBytes += bytes;
      this.#waitingBytes += bytes;
      this.#waiting.push(read);
      if (this.#round === undefined) this.#parts.loop.schedule();
    }
  }

  /** Resolves when everything acknowledged by now is applied on this member, or with the error. */
  whenLinearizable(): Promise<EtcdErrorName | undefined> {
    return new Promise((resolve) =>
      this.request({ serve: () => resolve(undefined), fail: resolve }),
    );
  }

  /**
   * The context of a read index to request now; undefined if there is none. The response comes by
   * {@link acceptStates}, or never. All waiting reads become the round.
   */
  nextContext(): Uint8Array | undefined {
    const now = this.#parts.env.clock.monotonicMs();
    const context = (): Uint8Array => contextOf(this.#parts.requestIds.nextWhole());
    if (this.#round === undefined) {
      if (this.#waiting.length === 0) return undefined;
      invariant(this.#waiting.length <= this.#held, 'reads that wait are among those held');
      this.#round = {
        contexts: [context()],
        reads: this.#waiting,
        bytes: this.#waitingBytes,
        deadlineMs: now + this.#timeoutMs,
        askedMs: now,
      };
      this.#waiting = [];
      this.#waitingBytes = 0;
    } else {
      if (now - this.#round.askedMs < READ_RETRY_MS) return undefined;
      this.#round.contexts.push(context());
      this.#round.askedMs = now;
      this.slowCount++;
    }
    return this.#round.contexts.at(-1);
  }

  acceptStates(states: readonly ReadState[]): void {
    for (const { index, context } of states) {
      const round = this.#round;
      if (!round?.contexts.some((each) => equalBytes(each, context))) continue;
      this.#round = undefined;
      invariant(round.reads.length > 0, 'a round has a read');
      const { slow, store } = this.#parts;
      this.#confirmed.push({
        index,
        reads: round.reads,
        bytes: round.bytes,
        beganMs: round.deadlineMs - this.#timeoutMs,
        receivedMs: slow.nowMs,
        appliedThen: store.machine.appliedIndex,
      });
      if (this.#waiting.length > 0) this.#parts.loop.schedule();
    }
    this.acceptApplied();
  }

  /** Serves the reads whose index is applied. */
  acceptApplied(): void {
    if (this.#confirmed.length === 0) return;
    const applied = this.#parts.store.machine.appliedIndex;
    while (this.#confirmed.length > 0 && this.#confirmed[0]!.index <= applied) {
      const confirmed = this.#confirmed.shift()!;
      const { reads, bytes, beganMs, receivedMs, index, appliedThen } = confirmed;
      this.#held -= reads.length;
      this.#heldBytes -= bytes;
      invariant(this.#held >= 0 && this.#heldBytes >= 0, 'a read that leaves was held');
      for (const read of reads) read.serve();
      this.#parts.slow.endReadIndex(beganMs, receivedMs, index, appliedThen);
    }
  }

  /** The leader has changed: the current round may never be answered. */
  acceptLeaderChange(): void {
    this.#failRound('LEADER_CHANGED');
  }

  /** A leader can answer from its first commit on: the current round is requested again. */
  acceptFirstCommit(): void {
    if (this.#round === undefined) return;
    this.#round.askedMs = Number.NEGATIVE_INFINITY;
    this.#parts.loop.schedule();
  }

  /** Fails rounds after their timeout, and repeats requests that may have been lost. */
  tick(): void {
    const round = this.#round;
    if (round === undefined) return;
    if (this.#parts.env.clock.monotonicMs() >= round.deadlineMs) {
      this.slowCount++;
      this.#failRound('TIMEOUT');
    } else this.#parts.loop.schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#failRound('STOPPED');
    for (const { reads } of this.#confirmed.splice(0))
      for (const read of reads) read.fail('STOPPED');
    for (const read of this.#waiting.splice(0)) read.fail('STOPPED');
    invariant(this.#round === undefined, 'no round is left when the member stops');
    this.#held = 0;
    this.#heldBytes = 0;
    this.#waitingBytes = 0;
  }

  #failRound(error: EtcdErrorName): void {
    const round = this.#round;
    if (round === undefined) return;
    this.#round = undefined;
    this.failedCount++;
    this.#held -= round.reads.length;
    this.#heldBytes -= round.bytes;
    invariant(this.#held >= 0 && this.#heldBytes >= 0, 'a read that leaves was held');
    for (const read of round.reads) read.fail(error);
    if (this.#waiting.length > 0 && !this.#stopped) this.#parts.loop.schedule();
  }
}

/** As in etcd: the id in eight bytes, big endian. */
function contextOf(id: bigint): Uint8Array {
  const context = new Uint8Array(8);
  new DataView(context.buffer).setBigUint64(0, id);
  return context;
}
