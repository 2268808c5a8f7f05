// `/debug/pprof/`: profiles in pprof's protobuf, gzipped, with the paths, parameters and refusals of Go's
// net/http/pprof, so that its tools work. Loaded only where the pages are asked for.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Env, Timer } from '../../env/index.ts';
import type { DebugPages } from '../http/handler.ts';
import { redirect, respond } from '../http/respond.ts';
import type { Target } from '../http/target.ts';
import { PROFILE_SECONDS_DEFAULT, PROFILE_SECONDS_MAX } from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import {
  activityBuilder,
  addActivity,
  type CallCounters,
  handlesText,
} from './activity-profile.ts';
import { buildCpuProfile, takeCpuProfile } from './cpu-profile.ts';
import { addBuffers, addHeap, HeapSampler, heapBuilder } from './heap-profile.ts';
import { Inspector } from './inspector.ts';
import { PPROF_PATH } from './paths.ts';
import { indexPage } from './pprof-index.ts';
import { ProfileBuilder } from './profile-builder.ts';

export interface PprofParts {
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly log: Pick<Logger, 'warn'>;
  readonly grpc: { readonly methods: readonly CallCounters[] };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

/** An answer other than 200. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

/** Adds to a profile what is there now, times `sign`. */
type Collect = (builder: ProfileBuilder, sign: 1 | -1) => void | Promise<void>;

interface CountedProfile {
  readonly builder: () => ProfileBuilder;
  readonly collect: Collect;
}

const compress: (bytes: Uint8Array) => Promise<Buffer> = promisify(gzip);
const program = process.execPath;

export class PprofPages implements DebugPages {
  readonly #parts: PprofParts;
  readonly #inspector = new Inspector();
  readonly #heap: HeapSampler;
  #takesCpu = false;

  /** `begins`: the sampling of the heap does not wait for the first request. */
  static async open(parts: PprofParts, begins: boolean): Promise<PprofPages> {
    const pages = new PprofPages(parts);
    if (begins) await pages.#heap.begin();
    return pages;
  }

  private constructor(parts: PprofParts) {
    this.#parts = parts;
    this.#heap = new HeapSampler(this.#inspector, () => parts.env.clock.wallMs());
  }

  close(): void {
    this.#inspector.close();
  }

  handle(request: IncomingMessage, response: ServerResponse, target: Target): boolean {
    const { path, query, search } = target;
    if (path === PPROF_PATH) {
      redirect(request, response, `${PPROF_PATH}/${search}`);
      return true;
    }
    if (!path.startsWith(`${PPROF_PATH}/`)) return false;
    request.resume();
    response.setHeader('X-Content-Type-Options', 'nosniff');
    const name = path.slice(PPROF_PATH.length + 1);
    void this.#serve(name, { request, response, query }).catch((error: unknown) => {
      if (!(error instanceof Refusal)) {
        this.#parts.log.warn('failed to take a profile', { profile: name, error: asError(error) });
      }
      refuse(response, error instanceof Refusal ? error : new Refusal(500, String(error)));
    });
    return true;
  }

  async #serve(name: string, exchange: Exchange): Promise<void> {
    switch (name) {
      case '':
        return this.#serveIndex(exchange);
      case 'cmdline':
        return respond(exchange.response, 200, TEXT, process.argv.join('\0'));
      case 'symbol':
        return respond(exchange.response, 200, TEXT, 'num_symbols: 0\n');
      case 'profile':
        return this.#serveCpu(exchange);
      case 'allocs':
        return this.#serveAllocations(exchange);
      case 'goroutine':
        if (numberIn(exchange.query, 'debug') >= 2) return this.#serveHandles(exchange);
        return this.#serveCounted(name, exchange, this.#activity());
      case 'heap':
        return this.#serveHeap(exchange);
      case 'block':
      case 'mutex':
        return this.#serveCounted(name, exchange, CONTENTION);
      case 'threadcreate':
        throw new Refusal(501, 'Node.js keeps no record of what created its threads');
      case 'trace':
        throw new Refusal(501, "an execution trace is of Go's runtime; see profile");
      default:
        throw new Refusal(404, 'Unknown profile');
    }
  }

  #serveIndex({ response }: Exchange): void {
    const { builder, collect } = this.#activity();
    const activity = builder();
    void collect(activity, 1);
    const page = indexPage(new Map([['goroutine', activity.total]]));
    respond(response, 200, 'text/html; charset=utf-8', page);
  }

  // --- Profiles of a time ------------------------------------------------------------------------

  async #serveCpu(exchange: Exchange): Promise<void> {
    const seconds = numberIn(exchange.query, 'seconds');
    const over = this.#durationOf(seconds > 0 ? seconds : PROFILE_SECONDS_DEFAULT, exchange);
    if (this.#takesCpu) {
      throw new Refusal(500, 'Could not enable CPU profiling: cpu profiling already in use');
    }
    this.#takesCpu = true;
    try {
      const since = this.#parts.env.clock.monotonicMs();
      const profile = await takeCpuProfile(this.#inspector, over);
      await this.#answer(exchange.response, 'profile', buildCpuProfile(profile, program), since);
    } finally {
      this.#takesCpu = false;
    }
  }

  async #serveAllocations(exchange: Exchange): Promise<void> {
    const asked = exchange.query.get('seconds');
    const seconds = asked === null || asked === '' ? PROFILE_SECONDS_DEFAULT : positive(asked);
    if (asked && numberIn(exchange.query, 'debug') !== 0) {
      throw new Refusal(400, 'seconds and debug params are incompatible');
    }
    const over = this.#durationOf(seconds, exchange);
    this.#refuseBusyHeap();
    const since = this.#parts.env.clock.monotonicMs();
    const builder = heapBuilder('alloc', program);
    addHeap(builder, await this.#heap.allocations(over), 1);
    if (numberIn(exchange.query, 'debug') !== 0) {
      respond(exchange.response, 200, TEXT, builder.text('allocs'));
    } else await this.#answer(exchange.response, 'allocs', builder, since);
  }

  /** Waits so long, or until the client is gone. */
  #durationOf(seconds: number, { response }: Exchange): () => Promise<void> {
    if (seconds > PROFILE_SECONDS_MAX) {
      throw new Refusal(400, `"seconds" must not be more than ${PROFILE_SECONDS_MAX}`);
    }
    return () =>
      new Promise((resolve) => {
        let timer: Timer | undefined;
        const end = (): void => {
          timer?.cancel();
          response.off('close', end);
          resolve();
        };
        response.on('close', end);
        timer = this.#parts.env.timers.after(seconds * 1000, end);
      });
  }

  // --- Profiles of a moment ----------------------------------------------------------------------

  /** With `seconds`, the difference between two moments, as Go's delta profiles. */
  async #serveCounted(
    name: string,
    exchange: Exchange,
    { builder, collect }: CountedProfile,
    comments: readonly string[] = [],
  ): Promise<void> {
    const { query, response } = exchange;
    const debug = numberIn(query, 'debug');
    const asked = query.get('seconds') ?? '';
    const profile = builder();
    const since = this.#parts.env.clock.monotonicMs();
    if (asked !== '') {
      const over = this.#durationOf(positive(asked), exchange);
      if (debug !== 0) throw new Refusal(400, 'seconds and debug params are incompatible');
      await collect(profile, -1);
      await over();
    }
    await collect(profile, 1);
    if (debug !== 0) respond(response, 200, TEXT, profile.text(name));
    else {
      const fileName = asked === '' ? name : `${name}-delta`;
      await this.#answer(response, fileName, profile, asked === '' ? undefined : since, comments);
    }
  }

  async #serveHeap(exchange: Exchange): Promise<void> {
    this.#refuseBusyHeap();
    if (numberIn(exchange.query, 'gc') > 0) await this.#heap.collectGarbage();
    await this.#heap.begin();
    const since = new Date(this.#heap.sinceMs ?? 0).toISOString();
    const comment = `objects allocated since ${since}; buffers outside the heap as a whole`;
    const profile: CountedProfile = {
      builder: () => heapBuilder('inuse', program),
      collect: async (builder, sign) => {
        this.#refuseBusyHeap();
        addHeap(builder, await this.#heap.live(), sign);
        addBuffers(builder, process.memoryUsage().arrayBuffers, sign);
      },
    };
    await this.#serveCounted('heap', exchange, profile, [comment]);
  }

  #refuseBusyHeap(): void {
    if (this.#heap.isBusy) {
      throw new Refusal(500, 'Could not read the heap: allocation profiling already in use');
    }
  }

  #activity(): CountedProfile {
    const { methods } = this.#parts.grpc;
    return {
      builder: () => activityBuilder(program),
      collect: (builder, sign) => addActivity(builder, methods, sign),
    };
  }

  #serveHandles({ response }: Exchange): void {
    const { builder, collect } = this.#activity();
    const activity = builder();
    void collect(activity, 1);
    respond(response, 200, TEXT, `${activity.text('goroutine')}${handlesText()}`);
  }

  /** `since` on the monotonic clock, for a profile of a time. */
  async #answer(
    response: ServerResponse,
    name: string,
    builder: ProfileBuilder,
    since: number | undefined,
    comments: readonly string[] = [],
  ): Promise<void> {
    const { clock } = this.#parts.env;
    const durationMs = since === undefined ? 0 : clock.monotonicMs() - since;
    const bytes = builder.encode({ wallMs: clock.wallMs() - durationMs, durationMs, comments });
    const body = await compress(bytes);
    respond(response, 200, 'application/octet-stream', body, {
      'Content-Disposition': `attachment; filename="${name}"`,
    });
  }
}

/** Of a process without contention. */
const CONTENTION: CountedProfile = {
  builder: () =>
    new ProfileBuilder({
      kinds: [
        { type: 'contentions', unit: 'count' },
        { type: 'delay', unit: 'nanoseconds' },
      ],
      program,
    }),
  collect: () => undefined,
};

const TEXT = 'text/plain; charset=utf-8';

function refuse(response: ServerResponse, { status, message }: Refusal): void {
  if (response.headersSent || response.destroyed) response.destroy();
  else respond(response, status, TEXT, `${message}\n`, { 'X-Go-Pprof': '1' });
}

/** 0 for what is no integer, as where Go ignores the error. */
function numberIn(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  return /^[+-]?\d+$/.test(text) ? Number(text) : 0;
}

function positive(text: string): number {
  const value = /^\+?\d+$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new Refusal(400, 'invalid value for "seconds" - must be a positive integer');
}
