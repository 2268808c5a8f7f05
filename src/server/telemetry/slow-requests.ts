// Lines about requests that took long, which say where the time went: etcd's `trace`, and its warning about
// applies. Hot where nothing is slow: two comparisons for an entry, one for a read, and no object.

import { goDuration, utf8FromBytes } from '../../base/index.ts';
import type { Clock, Env } from '../../env/index.ts';
import { EtcdError, etcdserverpb, raftpb } from '../../protocol/index.ts';
import type { ApplyResult } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { TRACE_THRESHOLD_MS } from '../limits.ts';
import type { LogFields, Logger } from './log.ts';
import { timestamp } from './log-format.ts';
import type { ServerMetrics } from './metrics-table.ts';
import { entryText, rangeText, txnText } from './request-text.ts';

interface SlowRequestsParts {
  readonly config: Pick<ServerConfig, 'warningApplyDurationMs'>;
  readonly env: Pick<Env, 'clock' | 'entropy'>;
  /** Read once in a turn. */
  readonly turnClock: Pick<Clock, 'monotonicMs'>;
  readonly log: Logger;
  readonly metrics: Pick<ServerMetrics, 'server'>;
  /** Bytes of the answer, without ids and term in its header; undefined where that is not known. */
  readonly sizeOfResult: (result: ApplyResult) => number | undefined;
}

type Detail = readonly (readonly [name: string, value: string | number | boolean])[];

/** The end of a part of a request; times are monotonic milliseconds. */
interface Step {
  readonly msg: string;
  readonly atMs: number;
}

/** A read: when it arrived, when it could be evaluated, and its answer, or why there is none. */
interface ReadTimes {
  readonly sinceMs: number;
  readonly agreedMs: number;
  readonly endMs: number;
}

interface RangeAnswer {
  readonly count: number;
  readonly revision: number;
  readonly size: number;
}

const AGREEMENT = 'agreement among raft nodes before linearized reading';

export class SlowRequests {
  readonly #parts: SlowRequestsParts;
  readonly #warnMs: number;
  /** A read of a longer duration is given to {@link endRange} or {@link endTxn}. */
  readonly readMs: number;

  /** Of the entry that is being applied: since when a caller here waits; Infinity if none does. */
  #sinceMs = Number.POSITIVE_INFINITY;
  #result: ApplyResult | undefined;

  constructor(parts: SlowRequestsParts) {
    this.#parts = { ...parts, log: parts.log.child('server/telemetry/slow-requests.ts') };
    const { warningApplyDurationMs } = parts.config;
    // Of 0, everything: a read takes less than the clock shows, which is read once in a turn.
    this.#warnMs = warningApplyDurationMs === 0 ? -1 : warningApplyDurationMs;
    this.readMs = Math.min(this.#warnMs, TRACE_THRESHOLD_MS);
  }

  /** Monotonic milliseconds, read once in a turn. */
  get nowMs(): number {
    return this.#parts.turnClock.monotonicMs();
  }

  /** The result of the entry that is being applied; it is not kept beyond it. */
  acceptResult(sinceMs: number, result: ApplyResult): void {
    this.#sinceMs = sinceMs;
    this.#result = result;
  }

  endEntry(entry: raftpb.Entry, beganMs: number, endMs: number): void {
    if (endMs - beganMs > this.#warnMs || endMs - this.#sinceMs > TRACE_THRESHOLD_MS) {
      this.#explainEntry(entry, beganMs, endMs);
    }
    this.#sinceMs = Number.POSITIVE_INFINITY;
    this.#result = undefined;
  }

  #explainEntry(entry: raftpb.Entry, beganMs: number, endMs: number): void {
    const result = this.#result;
    const request = requestOf(entry);
    if (request === undefined) return;
    if (endMs - beganMs > this.#warnMs) {
      const size = result && this.#parts.sizeOfResult(result);
      this.#warn(endMs - beganMs, {
        prefix: '',
        request: entryText(request),
        response: size === undefined ? '' : `size:${size}`,
        error: result?.kind === 'error' ? new EtcdError(result.error) : undefined,
      });
    }
    const traced = result && tracedEntry(request, result);
    if (traced === undefined || endMs - this.#sinceMs <= TRACE_THRESHOLD_MS) return;
    const steps = [
      { msg: 'process raft request', atMs: beganMs },
      { msg: 'apply to the state machine', atMs: endMs },
    ];
    this.#trace(traced.operation, traced.detail, this.#sinceMs, steps, endMs);
  }

  /** Without an answer there is an `error`. */
  endRange(
    request: etcdserverpb.RangeRequest,
    times: ReadTimes,
    answer: RangeAnswer | undefined,
    error?: string,
  ): void {
    const { sinceMs, endMs } = times;
    if (endMs - sinceMs > this.#warnMs) {
      this.#warn(endMs - sinceMs, {
        prefix: 'read-only range ',
        request: rangeText(request),
        response: answer ? `range_response_count:${answer.count} size:${answer.size}` : '',
        error,
      });
    }
    const detail: Detail = [
      ['range_begin', utf8FromBytes(request.key)],
      ['range_end', utf8FromBytes(request.rangeEnd)],
      ['response_count', answer?.count ?? 0],
      ['response_revision', answer?.revision ?? 0],
    ];
    // The last two are of an answer.
    const known = answer ? detail : detail.slice(0, 2);
    this.#traceRead('range', known, times, request.serializable);
  }

  endTxn(
    request: etcdserverpb.TxnRequest,
    times: ReadTimes,
    answer: {
      readonly counts: readonly number[];
      readonly revision: number;
      readonly size: number;
    },
    isSerializable: boolean,
  ): void {
    const tookMs = times.endMs - times.agreedMs;
    const { counts, revision, size } = answer;
    if (tookMs > this.#warnMs) {
      const responses = counts.map((count) => `range_response_count:${count}`).join(' ');
      this.#warn(tookMs, {
        prefix: 'read-only txn ',
        request: txnText(request),
        response: `responses:<${responses}> size:${size}`,
      });
    }
    const detail: Detail = [
      ['read_only', true],
      ['number_of_response', counts.length],
      ['response_revision', revision],
    ];
    this.#traceRead('transaction', detail, times, isSerializable);
  }

  /** A round of read indexes, of which all reads that wait for it are part. */
  endReadIndex(beganMs: number, receivedMs: number, index: number, appliedIndex: number): void {
    const endMs = this.nowMs;
    if (endMs - beganMs <= TRACE_THRESHOLD_MS) return;
    const detail: Detail = [
      ['readStateIndex', index],
      ['appliedIndex', appliedIndex],
    ];
    const steps = [
      { msg: 'read index received', atMs: receivedMs },
      { msg: 'applied index is now lower than readState.Index', atMs: endMs },
    ];
    this.#trace('linearizableReadLoop', detail, beganMs, steps, endMs, 0);
  }

  #traceRead(operation: string, detail: Detail, times: ReadTimes, isSerializable: boolean): void {
    const { sinceMs, agreedMs, endMs } = times;
    if (endMs - sinceMs <= TRACE_THRESHOLD_MS) return;
    const agreement = isSerializable ? [] : [{ msg: AGREEMENT, atMs: agreedMs }];
    const steps = [...agreement, { msg: 'range keys and assemble the response', atMs: endMs }];
    this.#trace(operation, detail, sinceMs, steps, endMs);
  }

  #warn(tookMs: number, fields: LogFields): void {
    this.#parts.metrics.server.slowApplies.value++;
    this.#parts.log.warn('apply request took too long', {
      took: durationText(tookMs),
      'expected-duration': durationText(this.#parts.config.warningApplyDurationMs),
      ...fields,
    });
  }

  /** As in etcd, steps are named that took more than their share of the threshold. */
  #trace(
    operation: string,
    detail: Detail,
    startMs: number,
    steps: readonly Step[],
    endMs: number,
    stepMs = TRACE_THRESHOLD_MS / (steps.length + 1),
  ): void {
    const { clock, entropy } = this.#parts.env;
    const wallMs = (atMs: number): number => clock.wallMs() - (clock.monotonicMs() - atMs);
    const named: string[] = [];
    let lastMs = startMs;
    for (const { msg, atMs } of steps) {
      if (atMs - lastMs > stepMs)
        named.push(`'${msg}'  (duration: ${durationText(atMs - lastMs)})`);
      lastMs = atMs;
    }
    const id = entropy.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0);
    this.#parts.log.info('trace', {
      trace_id: Math.floor(id / 2),
      operation,
      detail: `{${detail.map(([name, value]) => `${name}:${value}; `).join('')}}`,
      duration: durationText(endMs - startMs),
      start: timestamp(wallMs(startMs)),
      end: timestamp(wallMs(endMs)),
      steps: named,
      step_count: named.length,
    });
  }
}

function durationText(ms: number): string {
  return goDuration(ms * 1e6);
}

/** Undefined for a membership change, and for an entry without content or of releases up to 3.4. */
function requestOf({ type, data }: raftpb.Entry): etcdserverpb.InternalRaftRequest | undefined {
  if (type !== raftpb.EntryType.EntryNormal || data.length === 0) return undefined;
  try {
    return etcdserverpb.InternalRaftRequestCodec.decode(data);
  } catch {
    return undefined;
  }
}

function tracedEntry(
  { put, compaction }: etcdserverpb.InternalRaftRequest,
  result: ApplyResult,
): { readonly operation: string; readonly detail: Detail } | undefined {
  switch (result.kind) {
    case 'put':
      if (put === undefined) return undefined;
      return {
        operation: 'put',
        detail: [
          ['key', utf8FromBytes(put.key)],
          ['req_size', etcdserverpb.PutRequestCodec.encode(put).length],
          ['response_revision', result.put.revision],
        ],
      };
    case 'txn':
      return {
        operation: 'transaction',
        detail: [
          ['read_only', false],
          ['number_of_response', result.txn.responses.length],
          ['response_revision', result.txn.revision],
        ],
      };
    case 'compaction':
      return {
        operation: 'compact',
        detail: [
          ['revision', compaction?.revision ?? 0],
          ['response_revision', result.revision],
        ],
      };
    default:
      return undefined;
  }
}
