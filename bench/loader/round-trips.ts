// Round trips on one connection, one at a time, with a server that answers each request with one write.

import { Latencies, type LatencySummary } from './latencies.ts';
import { openSocket, type Target } from './target.ts';

export interface RoundTripOptions extends Target {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** About the frames of a put of 256 B. */
const REQUEST: Buffer = Buffer.alloc(380, 1);

export async function runRoundTrips(
  options: RoundTripOptions,
): Promise<{ readonly latency: LatencySummary }> {
  const socket = await openSocket(options);
  const latencies = new Latencies();
  const measureFrom = performance.now() + options.warmUpMs;
  const end = measureFrom + options.measureMs;
  let sentAt = performance.now();
  socket.write(REQUEST);
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed by the server')));
    socket.on('data', () => {
      const now = performance.now();
      if (sentAt >= measureFrom) latencies.add(now - sentAt);
      if (now >= end) resolve();
      else {
        sentAt = performance.now();
        socket.write(REQUEST);
      }
    });
  });
  socket.destroy();
  return { latency: latencies.summary() };
}
