// The loader's process: takes one job as JSON in its argument, prints one result as JSON. A process
// of its own, so that it can be bound to a core of its own.

import { ApiClient, type Message } from '../../test/helpers/api.ts';
import { type FillOptions, runFill } from './fill.ts';
import { type HandshakeOptions, type HandshakeResult, runHandshakes } from './handshakes.ts';
import { type IdleOptions, type IdleResult, runIdle } from './idle.ts';
import type { LatencySummary } from './latencies.ts';
import { type LoginOptions, type LoginResult, runLogins } from './logins.ts';
import { type RoundTripOptions, runRoundTrips } from './round-trips.ts';
import { runStall, type StallOptions, type StallResult } from './stall.ts';
import type { Target } from './target.ts';
import { runUnary, type UnaryOptions, type UnaryResult } from './unary.ts';
import { runWatch, type WatchOptions, type WatchResult } from './watch.ts';
import { keyOf, makeWorkload, type WorkloadName } from './workloads.ts';

export type Job =
  | ({ readonly kind: 'fill' } & FillOptions)
  | ({
      readonly kind: 'unary';
      readonly workload: WorkloadName;
      readonly keys: number;
      readonly requests: number;
      readonly seed: number;
      readonly back: number;
      /** A server that gets the same requests for so long before, so that the loader is warm. */
      readonly practice?: Pick<UnaryOptions, 'endpoint' | 'measureMs'>;
    } & UnaryOptions)
  | ({ readonly kind: 'watch' } & WatchOptions)
  | ({ readonly kind: 'stall' } & Omit<StallOptions, 'revision'>)
  | ({ readonly kind: 'handshakes' } & HandshakeOptions)
  | ({ readonly kind: 'idle' } & IdleOptions)
  | ({ readonly kind: 'logins' } & LoginOptions)
  | ({ readonly kind: 'round-trips' } & RoundTripOptions);

export type JobResult =
  | { readonly kind: 'fill' }
  | ({ readonly kind: 'unary' } & UnaryResult)
  | ({ readonly kind: 'watch' } & WatchResult)
  | ({ readonly kind: 'stall' } & StallResult)
  | ({ readonly kind: 'handshakes' } & HandshakeResult)
  | ({ readonly kind: 'idle' } & IdleResult)
  | ({ readonly kind: 'logins' } & LoginResult)
  | { readonly kind: 'round-trips'; readonly latency: LatencySummary };

/** What a storm has left behind may have to be worked off first. */
const REVISION_TIMEOUT_MS = 240_000;

async function revisionOf({ endpoint, tls, token }: Target): Promise<number> {
  const client = new ApiClient(endpoint, tls);
  const options = { token, timeoutMs: REVISION_TIMEOUT_MS };
  const response = await client.must('KV/Range', { key: keyOf(0) }, options);
  client.close();
  return Number((response['header'] as Message)['revision']);
}

/**
 * The revision must have risen by exactly what the loader believes to have written; `unknown` more
 * writes may have happened or not.
 */
async function checkRevision(job: Job, before: number, raised: number, unknown = 0): Promise<void> {
  const rose = (await revisionOf(job)) - before;
  if (rose < raised || rose > raised + unknown) {
    throw new Error(`the revision rose by ${rose}, but ${raised} writes succeeded`);
  }
}

async function run(job: Job): Promise<JobResult> {
  if (job.kind === 'fill') {
    await runFill(job);
    return { kind: 'fill' };
  }
  if (job.kind === 'handshakes') return { kind: job.kind, ...(await runHandshakes(job)) };
  if (job.kind === 'idle') return { kind: job.kind, ...(await runIdle(job)) };
  if (job.kind === 'round-trips') return { kind: job.kind, ...(await runRoundTrips(job)) };
  if (job.kind === 'logins') return { kind: job.kind, ...(await runLogins(job)) };
  const revision = await revisionOf(job);
  switch (job.kind) {
    case 'unary': {
      const workload = makeWorkload({ ...job, name: job.workload, revision });
      if (job.practice !== undefined) await runUnary(workload, { ...job, ...job.practice });
      const result = await runUnary(workload, job);
      await checkRevision(job, revision, result.raised);
      return { kind: 'unary', ...result };
    }
    case 'watch': {
      const result = await runWatch(job);
      await checkRevision(job, revision, result.raised);
      return { kind: 'watch', ...result };
    }
    case 'stall': {
      const result = await runStall({ ...job, revision });
      const deletes = job.operation === 'delete-all';
      const failed = result.operationError !== '';
      const unknown = result.failedPuts + (deletes && failed ? 1 : 0);
      await checkRevision(job, revision, result.raised + (deletes && !failed ? 1 : 0), unknown);
      return { kind: 'stall', ...result };
    }
  }
}

const result = await run(JSON.parse(process.argv[2]!) as Job);
console.log(JSON.stringify(result));
