// Closed-loop load of unary calls: so many connections with so many calls under way on each.

import { LoadConnection, type Slot } from './connection.ts';
import { Latencies, type LatencySummary } from './latencies.ts';
import { cpuMicrosecondsOf } from './process-stats.ts';
import type { Target } from './target.ts';
import type { Workload } from './workloads.ts';

export interface UnaryOptions extends Target {
  /** Of more members than the target: connections go to all of them in turn. */
  readonly others?: readonly string[];
  /** Of the server, or of all members, for their CPU time. */
  readonly pids: readonly number[];
  readonly connections: number;
  readonly callsPerConnection: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface UnaryResult {
  /** Within the measured time. */
  readonly requests: number;
  readonly seconds: number;
  readonly serverCpuUs: number;
  readonly loaderCpuUs: number;
  readonly latency: LatencySummary;
  /** How much the revision must have risen, warm-up included. */
  readonly raised: number;
}

interface Shared {
  readonly workload: Workload;
  readonly latencies: Latencies;
  next: number;
  stopping: boolean;
  measuring: boolean;
  completed: number;
  raised: number;
  failure: Error | undefined;
  onIdle: () => void;
  active: number;
}

/** One of the calls that are always under way; starts the next one when it ends. */
class Caller implements Slot {
  readonly wantsMessages = false;
  readonly #connection: LoadConnection;
  readonly #shared: Shared;
  #index = 0;
  #startedAt = 0;

  constructor(connection: LoadConnection, shared: Shared) {
    this.#connection = connection;
    this.#shared = shared;
  }

  start(): void {
    const shared = this.#shared;
    const { messages } = shared.workload;
    this.#index = shared.next;
    shared.next = this.#index + 1 === messages.length ? 0 : this.#index + 1;
    shared.active++;
    this.#startedAt = performance.now();
    this.#connection.call(messages[this.#index]!, this);
  }

  onMessage(): void {}

  onEnd(grpcStatus: number, text: string, bytes: number): void {
    const shared = this.#shared;
    const { workload } = shared;
    shared.active--;
    if (grpcStatus !== 0 || bytes < workload.responseBytesMin) {
      shared.failure ??= new Error(`status ${grpcStatus} "${text}", ${bytes} bytes of response`);
      shared.stopping = true;
    } else {
      shared.raised += workload.raises(this.#index);
      if (shared.measuring) {
        shared.completed++;
        shared.latencies.add(performance.now() - this.#startedAt);
      }
    }
    if (!shared.stopping) this.start();
    else if (shared.active === 0) shared.onIdle();
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function runUnary(workload: Workload, options: UnaryOptions): Promise<UnaryResult> {
  let wake: () => void = () => {};
  const idle = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const shared: Shared = {
    ...{ workload, latencies: new Latencies(), next: 0, stopping: false, measuring: false },
    ...{ completed: 0, raised: 0, failure: undefined, onIdle: wake, active: 0 },
  };
  const fail = (error: Error): void => {
    shared.failure ??= error;
    shared.stopping = true;
    wake();
  };
  const connections: LoadConnection[] = [];
  const endpoints = [options.endpoint, ...(options.others ?? [])];
  for (let i = 0; i < options.connections; i++) {
    const target = { ...options, endpoint: endpoints[i % endpoints.length]! };
    connections.push(await LoadConnection.open(target, workload.path, fail));
  }
  for (const connection of connections) {
    for (let i = 0; i < options.callsPerConnection; i++) new Caller(connection, shared).start();
    connection.flush();
  }
  await Promise.race([pause(options.warmUpMs), idle]);
  const cpuBefore = cpuMicrosecondsOf(options.pids);
  const ownBefore = process.cpuUsage();
  const startedAt = performance.now();
  shared.measuring = true;
  await Promise.race([pause(options.measureMs), idle]);
  shared.measuring = false;
  const seconds = (performance.now() - startedAt) / 1000;
  const serverCpuUs = cpuMicrosecondsOf(options.pids) - cpuBefore;
  const own = process.cpuUsage(ownBefore);
  shared.stopping = true;
  await idle;
  for (const connection of connections) connection.close();
  if (shared.failure !== undefined) throw shared.failure;
  return {
    ...{ requests: shared.completed, seconds, serverCpuUs, loaderCpuUs: own.user + own.system },
    ...{ latency: shared.latencies.summary(), raised: shared.raised },
  };
}
