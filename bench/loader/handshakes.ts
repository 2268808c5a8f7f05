// New connections over TLS, so many at a time, each closed when the server has shown that it serves it.

import { Latencies, type LatencySummary } from './latencies.ts';
import { cpuMicrosecondsOf } from './process-stats.ts';
import { openServed, type Target } from './target.ts';

export interface HandshakeOptions extends Target {
  readonly pids: readonly number[];
  readonly connectionsAtATime: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface HandshakeResult {
  /** Within the measured time. */
  readonly handshakes: number;
  readonly seconds: number;
  readonly serverCpuUs: number;
  readonly loaderCpuUs: number;
  readonly latency: LatencySummary;
  /** Connections that broke before they were served. */
  readonly failed: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function runHandshakes(options: HandshakeOptions): Promise<HandshakeResult> {
  const latencies = new Latencies();
  let stopping = false;
  let measuring = false;
  let handshakes = 0;
  let failed = 0;
  const goOn = async (): Promise<void> => {
    while (!stopping) {
      const startedAt = performance.now();
      const succeeded = await openServed(options).then(
        (socket) => socket.destroy().destroyed,
        () => false,
      );
      if (!measuring) continue;
      if (succeeded) {
        handshakes++;
        latencies.add(performance.now() - startedAt);
      } else {
        failed++;
        await pause(1);
      }
    }
  };
  const all = Array.from({ length: options.connectionsAtATime }, goOn);
  await pause(options.warmUpMs);
  const cpuBefore = cpuMicrosecondsOf(options.pids);
  const ownBefore = process.cpuUsage();
  const startedAt = performance.now();
  measuring = true;
  await pause(options.measureMs);
  measuring = false;
  const seconds = (performance.now() - startedAt) / 1000;
  const serverCpuUs = cpuMicrosecondsOf(options.pids) - cpuBefore;
  const own = process.cpuUsage(ownBefore);
  stopping = true;
  await Promise.all(all);
  return {
    ...{ handshakes, seconds, serverCpuUs, loaderCpuUs: own.user + own.system, failed },
    latency: latencies.summary(),
  };
}
