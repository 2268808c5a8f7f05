// Long operations under a steady load of puts: how long does a put wait at worst?

import { LoadConnection, type Slot } from './connection.ts';
import { Latencies, type LatencySummary } from './latencies.ts';
import { forgetPeak, residentMebibytes } from './process-stats.ts';
import type { Target } from './target.ts';
import { grpcMessage, makeWorkload, NOW } from './workloads.ts';

export interface StallOptions extends Target {
  readonly keys: number;
  readonly putsPerSecond: number;
  /** Load alone, before the operation and after it. */
  readonly quietMs: number;
  readonly operation: StallOperation;
  readonly revision: number;
  /** Of the server, for its memory. */
  readonly pid?: number;
}

export const STALL_OPERATIONS = [
  'none',
  'hash',
  'range-all',
  'snapshot',
  'defragment',
  'delete-all',
  'compact',
] as const;
export type StallOperation = (typeof STALL_OPERATIONS)[number];

export interface StallResult {
  readonly operationSeconds: number;
  readonly operationBytes: number;
  /** The longest wait for the acknowledgement of a PING between DATA of the operation; 0 without any. */
  readonly pingMaxMs: number;
  /** By how much the server's resident memory rose meanwhile, over the load alone; 0 without a pid. */
  readonly memoryMiB: number;
  /** Of the puts, from the time each was due. */
  readonly latency: LatencySummary;
  readonly raised: number;
  /** Writes that ended in an error; each may have happened nevertheless. */
  readonly failedPuts: number;
  /** Empty when the operation succeeded; else what the server said. */
  readonly operationError: string;
}

const TICK_MS = 2;
const PING_EVERY_MS = 20;
const ALL = { key: '\0', range_end: '\0' } as const;

function operationOf(options: StallOptions): { path: string; message: Buffer } | undefined {
  switch (options.operation) {
    case 'none':
      return undefined;
    case 'hash':
      return {
        path: '/etcdserverpb.Maintenance/HashKV',
        message: grpcMessage('HashKVRequest', { revision: '0' }),
      };
    case 'defragment':
      return {
        path: '/etcdserverpb.Maintenance/Defragment',
        message: grpcMessage('DefragmentRequest', {}),
      };
    case 'snapshot':
      return {
        path: '/etcdserverpb.Maintenance/Snapshot',
        message: grpcMessage('SnapshotRequest', {}),
      };
    case 'range-all':
      return { path: '/etcdserverpb.KV/Range', message: grpcMessage('RangeRequest', ALL) };
    case 'delete-all':
      return {
        path: '/etcdserverpb.KV/DeleteRange',
        message: grpcMessage('DeleteRangeRequest', ALL),
      };
    case 'compact': {
      const request = { revision: String(options.revision), physical: true };
      const message = grpcMessage('CompactionRequest', request);
      return { path: '/etcdserverpb.KV/Compact', message };
    }
  }
}

class SteadyPuts {
  readonly latencies = new Latencies();
  raised = 0;
  failed = 0;
  readonly #connection: LoadConnection;
  readonly #messages: readonly Buffer[];
  readonly #perMs: number;
  readonly #startedAt = performance.now();
  #sent = 0;
  #ended = 0;
  #stopping = false;
  #onIdle: () => void = () => {};
  readonly #timer: NodeJS.Timeout;

  constructor(connection: LoadConnection, messages: readonly Buffer[], putsPerSecond: number) {
    this.#connection = connection;
    this.#messages = messages;
    this.#perMs = putsPerSecond / 1000;
    this.#timer = setInterval(() => this.#send(), TICK_MS);
  }

  /** Resolves when the last put has been answered. */
  stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping = true;
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      if (this.#sent === this.#ended) resolve();
    });
  }

  #send(): void {
    const due = Math.floor((performance.now() - this.#startedAt) * this.#perMs);
    for (; this.#sent < due; this.#sent++) {
      const dueAt = this.#startedAt + this.#sent / this.#perMs;
      this.#connection.call(this.#messages[this.#sent % this.#messages.length]!, this.#slot(dueAt));
    }
    this.#connection.flush();
  }

  #slot(dueAt: number): Slot {
    return {
      wantsMessages: false,
      onMessage: () => {},
      onEnd: (status) => {
        this.latencies.add(performance.now() - dueAt);
        this.#ended++;
        if (status === 0) this.raised++;
        else this.failed++;
        if (this.#stopping && this.#sent === this.#ended) this.#onIdle();
      },
    };
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface OperationResult {
  readonly bytes: number;
  /** Empty when it succeeded. */
  readonly error: string;
  readonly pingMaxMs: number;
}

const NOTHING: OperationResult = { bytes: 0, error: '', pingMaxMs: 0 };

/** Makes the call on a connection of its own, with PINGs beside it. */
async function runOperation(
  options: StallOptions,
  broken: (error: Error) => void,
): Promise<OperationResult> {
  const operation = operationOf(options);
  if (operation === undefined) return NOTHING;
  const connection = await LoadConnection.open(options, operation.path, broken);
  let pingMaxMs = 0;
  let sentAt: number | undefined;
  let received = 0;
  const pings = setInterval(() => {
    // Servers do not take more than a few without DATA in between.
    if (sentAt !== undefined || connection.received === received) return;
    received = connection.received;
    sentAt = performance.now();
    connection.ping(() => {
      pingMaxMs = Math.max(pingMaxMs, performance.now() - sentAt!);
      sentAt = undefined;
    });
  }, PING_EVERY_MS);
  const done = await new Promise<OperationResult>((resolve) => {
    connection.call(operation.message, {
      wantsMessages: false,
      onMessage: () => {},
      onEnd: (status, text, bytes) => {
        if (sentAt !== undefined) pingMaxMs = Math.max(pingMaxMs, performance.now() - sentAt);
        resolve({ bytes, error: status === 0 ? '' : `${status} ${text}`, pingMaxMs });
      },
    });
    connection.flush();
  });
  clearInterval(pings);
  connection.close();
  return done;
}

export async function runStall(options: StallOptions): Promise<StallResult> {
  const requests = { keys: options.keys, requests: 5_000, seed: 3, ...NOW };
  const workload = makeWorkload({ name: 'put', ...requests });
  let broken: (error: Error) => void = () => {};
  const breakage = new Promise<never>((_, reject) => {
    broken = reject;
  });
  breakage.catch(() => {});
  const putting = await LoadConnection.open(options, workload.path, broken);
  const puts = new SteadyPuts(putting, workload.messages, options.putsPerSecond);
  await pause(options.quietMs);
  const { pid } = options;
  if (pid !== undefined) forgetPeak(pid);
  const beforeMiB = pid === undefined ? 0 : residentMebibytes(pid).now;
  const startedAt = performance.now();
  const operation = await Promise.race([runOperation(options, broken), breakage]);
  const operationSeconds = (performance.now() - startedAt) / 1000;
  const peakMiB = pid === undefined ? 0 : residentMebibytes(pid).peak;
  await pause(options.quietMs);
  await Promise.race([puts.stop(), breakage]);
  putting.close();
  const { latencies, raised, failed } = puts;
  return {
    ...{ operationSeconds, operationBytes: operation.bytes, operationError: operation.error },
    ...{ pingMaxMs: operation.pingMaxMs, memoryMiB: peakMiB - beforeMiB },
    ...{ raised, failedPuts: failed, latency: latencies.summary() },
  };
}
