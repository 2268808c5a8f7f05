// Calls under way, and the newest that have ended, by service and by how long they took: what
// `/debug/requests` shows. Of a call there are its method, its client's address and its outcome; what was
// asked and answered is not kept, so that no value, password or token is.

import type { Clock } from '../../env/index.ts';
import { STATUS, type StatusCode, statusName } from '../../grpc/index.ts';
import type { Call, CallObserver } from '../../rpc/index.ts';
import { REQUEST_LOG_EVENTS_MAX, REQUEST_LOG_PER_BUCKET } from '../limits.ts';

/** One call. */
export interface LoggedCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly client: string;
  /** Milliseconds that the client gave; undefined without a deadline. */
  readonly deadlineMs: number | undefined;
  readonly startWallMs: number;
  readonly startMs: number;
  /** Undefined while it is under way. */
  readonly tookMs: number | undefined;
  /** `OK`, or the status and its text; undefined while it is under way. */
  readonly outcome: string | undefined;
}

/** Bounds of the buckets in milliseconds, as of Go's x/net/trace; one more has what failed. */
export const BUCKETS_MS: readonly number[] = [0, 50, 100, 200, 500, 1000, 10_000, 100_000];
export const ERRORS_BUCKET: number = BUCKETS_MS.length;

/** Something that happened to the server. */
interface ServerEvent {
  readonly wallMs: number;
  readonly text: string;
}

export class RequestLog implements CallObserver {
  readonly #clock: Clock;
  readonly #active = new Map<unknown, LoggedCall>();
  /** Of each family, the newest of each bucket, the newest last. */
  readonly #ended = new Map<string, LoggedCall[][]>();
  readonly #events: ServerEvent[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  began(call: Call): void {
    const startMs = this.#clock.monotonicMs();
    const { path, peer, deadlineMs } = call;
    this.#active.set(call, {
      ...{ method: path, client: peer.address, startMs, startWallMs: this.#clock.wallMs() },
      deadlineMs: Number.isFinite(deadlineMs) ? deadlineMs - startMs : undefined,
      ...{ tookMs: undefined, outcome: undefined },
    });
  }

  ended(call: Pick<Call, 'path'>, status: StatusCode, message: string): void {
    const active = this.#active.get(call);
    if (active === undefined) return;
    this.#active.delete(call);
    const isOk = status === STATUS.OK;
    const tookMs = this.#clock.monotonicMs() - active.startMs;
    const outcome = isOk ? 'OK' : `${statusName(status)}: ${message}`;
    const ended = { ...active, tookMs, outcome };
    const buckets = this.#bucketsOf(familyOf(active.method));
    for (const [i, boundMs] of BUCKETS_MS.entries())
      if (tookMs >= boundMs) keep(buckets[i]!, ended);
    if (!isOk) keep(buckets[ERRORS_BUCKET]!, ended);
  }

  connectionFailed(client: string, error: Error): void {
    const { events } = this;
    const text = `closed the connection of ${client}: ${error.message}`;
    this.#events.push({ wallMs: this.#clock.wallMs(), text });
    if (events.length > REQUEST_LOG_EVENTS_MAX) this.#events.shift();
  }

  /** Every family that had a call, in the order of their names. */
  families(): readonly string[] {
    const active = [...this.#active.values()].map(({ method }) => familyOf(method));
    return [...new Set([...this.#ended.keys(), ...active])].sort();
  }

  /** Calls of a family that are under way, the oldest first. */
  active(family: string): readonly LoggedCall[] {
    return [...this.#active.values()].filter(({ method }) => familyOf(method) === family);
  }

  /** Calls of a bucket of a family, the newest first. */
  bucket(family: string, bucket: number): readonly LoggedCall[] {
    return [...(this.#ended.get(family)?.[bucket] ?? [])].reverse();
  }

  /** The oldest first. */
  get events(): readonly ServerEvent[] {
    return this.#events;
  }

  #bucketsOf(family: string): LoggedCall[][] {
    let buckets = this.#ended.get(family);
    if (buckets === undefined) {
      buckets = Array.from({ length: BUCKETS_MS.length + 1 }, () => []);
      this.#ended.set(family, buckets);
    }
    return buckets;
  }
}

function keep(bucket: LoggedCall[], call: LoggedCall): void {
  bucket.push(call);
  if (bucket.length > REQUEST_LOG_PER_BUCKET) bucket.shift();
}

/** As grpc-go names it. */
function familyOf(method: string): string {
  return `grpc.Recv.${method.slice(1, method.indexOf('/', 1))}`;
}
