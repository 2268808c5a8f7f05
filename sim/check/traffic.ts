// Traffic: clients that do what users do, chosen by a seed, and have it recorded. It runs on any env:
// in simulated time, or against real processes.

import { type Random, seededRandom } from '../../src/base/index.ts';
import type { Clock, Timers } from '../../src/env/index.ts';
import type { Comparison, Keys, Outcome, Request, TxnOperation } from './history.ts';
import type { Recorder, Target } from './recorder.ts';

/** How often what is done; the numbers are weights. */
export interface TrafficMix {
  readonly put: number;
  readonly leasePut: number;
  readonly delete: number;
  readonly deleteRange: number;
  readonly txn: number;
  readonly range: number;
  readonly staleRange: number;
  readonly pastRange: number;
  readonly compact: number;
  readonly lease: number;
  readonly defragment: number;
}

export const TRAFFIC_MIX: TrafficMix = {
  put: 30,
  leasePut: 6,
  delete: 6,
  deleteRange: 1,
  txn: 14,
  range: 20,
  staleRange: 10,
  pastRange: 6,
  compact: 1,
  lease: 6,
  defragment: 0,
};

export interface TrafficOptions {
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly seed: number;
  /** One per client, by which it does everything. */
  readonly targets: readonly Target[];
  /** When clients begin nothing more. */
  readonly endMs: number;
  readonly mix?: Partial<TrafficMix>;
  /** Keys that all clients write. Default 12. */
  readonly keys?: number;
  /** Longest pause of a client between two requests; half of it on average. Default 20. */
  readonly pauseMs?: number;
  /** Pause after a failure, so that not everything is unknown. Default 200. */
  readonly failurePauseMs?: number;
  /** Seconds; leases live this long or up to three times as long. Default 2. */
  readonly leaseTtl?: number;
  /** Before a compaction: what is lost by it can be saved. False: not now. */
  readonly beforeCompaction?: (revision: number) => Promise<boolean>;
  /**
   * Has a member defragmented, for the weight in `mix`. It is not recorded: no answer may depend on it.
   * `chosen` picks the member.
   */
  readonly defragment?: (chosen: number) => Promise<void>;
}

const PREFIX = 'k';
const ALL: Keys = { key: PREFIX, end: 'l' };
const KEYS = 12;
const PAUSE_MS = 20;
const FAILURE_PAUSE_MS = 200;
const LEASE_TTL = 2;
const COMPACTION_DISTANCE_MAX = 60;

/** Runs until `endMs`, and until the last request has been answered. */
export async function runTraffic(options: TrafficOptions): Promise<void> {
  const random = seededRandom(options.seed);
  const clients = options.targets.map(
    (target, i) => new TrafficClient(options, target, `c${i}`, seededRandom(random.below(2 ** 32))),
  );
  await Promise.all(clients.map((client) => client.run()));
}

interface HeldLease {
  readonly id: string;
  readonly ttl: number;
  /** When it is renewed next. */
  renewMs: number;
  /** Renewals left, after which it is left to run out or revoked. */
  renewals: number;
}

class TrafficClient {
  readonly #options: TrafficOptions;
  readonly #target: Target;
  readonly #name: string;
  readonly #random: Random;
  readonly #mix: readonly (readonly [keyof TrafficMix, number])[];
  #count = 0;
  #lease: HeldLease | undefined = undefined;

  constructor(options: TrafficOptions, target: Target, name: string, random: Random) {
    this.#options = options;
    this.#target = target;
    this.#name = name;
    this.#random = random;
    const mix = Object.entries({ ...TRAFFIC_MIX, ...options.mix });
    this.#mix = mix as [keyof TrafficMix, number][];
  }

  async run(): Promise<void> {
    const { clock, endMs, pauseMs = PAUSE_MS, failurePauseMs = FAILURE_PAUSE_MS } = this.#options;
    while (clock.monotonicMs() < endMs) {
      const outcome = await this.#next();
      const isFailed = outcome?.kind === 'unknown';
      await this.#pause(this.#random.below(pauseMs + 1) + (isFailed ? failurePauseMs : 0));
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.timers.after(ms, resolve));
  }

  #do(request: Request): Promise<Outcome> {
    return this.#options.recorder.execute(this.#name, this.#target, request);
  }

  /** Undefined if there was nothing to do. */
  async #next(): Promise<Outcome | undefined> {
    const lease = this.#lease;
    if (lease !== undefined && this.#options.clock.monotonicMs() >= lease.renewMs) {
      return await this.#renew(lease);
    }
    switch (this.#choose()) {
      case 'put':
        return await this.#do(this.#put());
      case 'leasePut':
        return await this.#putOnLease();
      case 'delete':
        return await this.#do({ kind: 'delete', key: this.#key(), ...this.#maybePrevious() });
      case 'deleteRange':
        return await this.#do({ kind: 'delete', ...this.#someKeys(), ...this.#maybePrevious() });
      case 'txn':
        return await this.#txn();
      case 'range':
        return await this.#do(this.#range());
      case 'staleRange':
        return await this.#do({ ...this.#range(), serializable: true });
      case 'pastRange':
        return await this.#pastRange();
      case 'compact':
        return await this.#compact();
      case 'lease':
        return await this.#leaseStep();
      case 'defragment':
        await this.#options.defragment?.(this.#random.below(2 ** 31));
        return undefined;
    }
  }

  #choose(): keyof TrafficMix {
    const total = this.#mix.reduce((sum, [, weight]) => sum + weight, 0);
    let at = this.#random.below(total);
    for (const [what, weight] of this.#mix) {
      if (at < weight) return what;
      at -= weight;
    }
    throw new Error('no traffic');
  }

  #key(): string {
    const number = this.#random.below(this.#options.keys ?? KEYS);
    return `${PREFIX}${String(number).padStart(2, '0')}`;
  }

  #someKeys(): Keys {
    if (this.#random.below(3) === 0) return ALL;
    const [a, b] = [this.#key(), this.#key()];
    return a < b ? { key: a, end: b } : a === b ? { key: a } : { key: b, end: a };
  }

  #value(): string {
    return `${this.#name}.${this.#count++}`;
  }

  #put() {
    return {
      kind: 'put',
      key: this.#key(),
      value: this.#value(),
      ...this.#maybePrevious(),
    } as const;
  }

  #maybePrevious(): { readonly prevKv?: true } {
    return this.#random.below(3) === 0 ? { prevKv: true } : {};
  }

  #range() {
    const keys = this.#random.below(2) === 0 ? { key: this.#key() } : this.#someKeys();
    const limit = this.#random.below(4) === 0 ? { limit: 1 + this.#random.below(4) } : {};
    return { kind: 'range', ...keys, ...limit } as const;
  }

  async #pastRange(): Promise<Outcome> {
    const newest = this.#options.recorder.highestRevision;
    const revision = Math.max(1, newest - this.#random.below(COMPACTION_DISTANCE_MAX));
    const serializable = this.#random.below(2) === 0 ? { serializable: true } : {};
    return await this.#do({ ...this.#range(), revision, ...serializable });
  }

  /** Reads a key, then changes it if it is still the same, as users of transactions do; or others. */
  async #txn(): Promise<Outcome> {
    const key = this.#key();
    const compare: Comparison[] = [];
    if (this.#random.below(4) > 0) {
      const read = await this.#do({ kind: 'range', key });
      if (read.kind !== 'ok' || read.result.kind !== 'range') return read;
      const operand = read.result.kvs[0]?.modRevision ?? 0;
      compare.push({ key, target: 'modRevision', operator: '=', operand });
    } else if (this.#random.below(2) === 0) {
      const operand = this.#random.below(3);
      compare.push({ key: this.#key(), target: 'version', operator: '>', operand });
    }
    return await this.#do({
      kind: 'txn',
      compare,
      success: this.#branch(key),
      failure: this.#random.below(2) === 0 ? [] : this.#branch(this.#key()),
    });
  }

  /** Keys of a branch differ: etcd refuses to put one twice. */
  #branch(first: string): TxnOperation[] {
    const keys = new Set([first]);
    for (let i = this.#random.below(3); i > 0; i--) keys.add(this.#key());
    const operations = [...keys].map((key): TxnOperation => {
      const kind = this.#random.below(4);
      if (kind === 0) return { kind: 'delete', key, ...this.#maybePrevious() };
      if (kind === 1) return { kind: 'range', ...this.#someKeys() };
      return { kind: 'put', key, value: this.#value() };
    });
    return operations;
  }

  async #compact(): Promise<Outcome | undefined> {
    const newest = this.#options.recorder.highestRevision;
    const revision = newest - this.#random.below(COMPACTION_DISTANCE_MAX);
    if (revision < 2) return undefined;
    if ((await this.#options.beforeCompaction?.(revision)) === false) return undefined;
    return await this.#do({ kind: 'compact', revision });
  }

  // Leases

  async #leaseStep(): Promise<Outcome> {
    const lease = this.#lease;
    if (lease === undefined) return await this.#grant();
    if (this.#random.below(8) === 0) {
      this.#lease = undefined;
      return await this.#do({ kind: 'revoke', lease: lease.id });
    }
    return this.#afterLease(await this.#do({ kind: 'timeToLive', lease: lease.id }));
  }

  async #grant(): Promise<Outcome> {
    const shortest = this.#options.leaseTtl ?? LEASE_TTL;
    const ttl = shortest + this.#random.below(2 * shortest + 1);
    const id = String(1 + this.#random.below(2 ** 32) * 1000 + this.#random.below(1000));
    const outcome = await this.#do({ kind: 'grant', lease: id, ttl });
    if (outcome.kind === 'ok' && outcome.result.kind === 'lease') {
      const granted = outcome.result.ttl;
      const renewals = this.#random.below(6);
      this.#lease = { id, ttl: granted, renewals, renewMs: this.#renewalMs(granted) };
    }
    return outcome;
  }

  /** Between a third of the time to live and nearly all of it. */
  #renewalMs(ttl: number): number {
    return this.#options.clock.monotonicMs() + ttl * (300 + this.#random.below(600));
  }

  async #renew(lease: HeldLease): Promise<Outcome> {
    if (lease.renewals-- <= 0) {
      this.#lease = undefined;
      return await this.#do({ kind: 'timeToLive', lease: lease.id });
    }
    lease.renewMs = this.#renewalMs(lease.ttl);
    return this.#afterLease(await this.#do({ kind: 'keepAlive', lease: lease.id }));
  }

  async #putOnLease(): Promise<Outcome> {
    const lease = this.#lease;
    if (lease === undefined) return await this.#grant();
    return this.#afterLease(await this.#do({ ...this.#put(), lease: lease.id }));
  }

  /** Forgets the lease if it is gone. */
  #afterLease(outcome: Outcome): Outcome {
    const isGone =
      (outcome.kind === 'failed' && outcome.error === 'LEASE_NOT_FOUND') ||
      (outcome.kind === 'ok' && outcome.result.kind === 'lease' && outcome.result.ttl < 0);
    if (isGone) this.#lease = undefined;
    return outcome;
  }
}
