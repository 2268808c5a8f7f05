// A simulated world: machines that share one time and one network, each with a disk of its own.
//
// A `SimEnv` is one process on one machine. When it crashes it is dead: its timers, streams and disk
// operations never call back, so that code of the dead process just stops, in the middle of its
// `await`. `crash()` returns the env of the next process on that machine, with the disk as it is
// found.

import { type Random, seededRandom } from '../../base/index.ts';
import type { Clock, Timer, Timers } from '../clock.ts';
import type { Entropy } from '../entropy.ts';
import type { Env } from '../env.ts';
import type { Network } from '../network.ts';
import type { CrashFate } from './file-data.ts';
import type { Schedule } from './operations.ts';
import { Scheduler } from './scheduler.ts';
import { SimDisk } from './sim-disk.ts';
import { SimNetwork } from './sim-network.ts';

/** Where wall clocks begin: an arbitrary moment in 2023. */
const WALL_START_MS = 1_700_000_000_000;

export interface SimWorldOptions {
  readonly seed: number;
  /** See `Scheduler`. True by default. */
  readonly autoRun?: boolean;
}

export class SimWorld {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly #random: Random;

  constructor(options: SimWorldOptions) {
    this.#random = seededRandom(options.seed);
    this.scheduler = new Scheduler({ autoRun: options.autoRun ?? true });
    this.network = new SimNetwork(this.scheduler, seededRandom(this.newSeed()));
  }

  /** A machine with an empty disk, and its first process. */
  machine(name: string): SimEnv {
    return new SimEnv(this, name, undefined);
  }

  newSeed(): number {
    return this.#random.below(2 ** 32);
  }
}

/** The wall clock of one machine may be wrong. */
export class SimClock implements Clock {
  readonly #scheduler: Scheduler;
  #wallOffsetMs = WALL_START_MS;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  wallMs(): number {
    return Math.floor(this.#wallOffsetMs + this.#scheduler.nowMs);
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs;
  }

  /** The wall clock jumps, forward or (negative) back. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }
}

export class SimEnv implements Env {
  readonly name: string;
  readonly world: SimWorld;
  readonly clock: SimClock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly disk: SimDisk;
  readonly network: Network;
  #dead = false;

  constructor(world: SimWorld, name: string, before: SimEnv | undefined, disk?: SimDisk) {
    this.name = name;
    this.world = world;
    this.clock = before?.clock ?? new SimClock(world.scheduler);
    this.timers = new SimTimers(world.scheduler, () => !this.#dead);
    const random = seededRandom(world.newSeed());
    this.entropy = {
      bytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)),
    };
    const schedule = this.#schedule;
    this.disk = disk ?? new SimDisk({ seed: world.newSeed(), schedule });
    this.network = world.network.viewOf(name, this);
  }

  readonly #schedule: Schedule = (delayMs, callback) => {
    this.timers.after(delayMs, callback);
  };

  get dead(): boolean {
    return this.#dead;
  }

  /**
   * The process dies. With `unsynced: 'kept'` that is all (kill -9: the system still has what was
   * written); by default the machine has lost its power, and unsynced writes are lost or torn.
   */
  crash(options: { readonly seed?: number; readonly unsynced?: CrashFate } = {}): SimEnv {
    this.#dead = true;
    this.world.network.abandon(this);
    // The disk of the new process must call back through the new process, which does not exist yet.
    const next: { env?: SimEnv } = {};
    const disk = this.disk.crash({
      seed: options.seed ?? this.world.newSeed(),
      ...(options.unsynced === undefined ? {} : { unsynced: options.unsynced }),
      schedule: (delayMs, callback) => next.env!.#schedule(delayMs, callback),
    });
    next.env = new SimEnv(this.world, this.name, this, disk);
    return next.env;
  }

  // The pump; see `Scheduler`.

  run<T>(body: () => Promise<T>): Promise<T> {
    return this.world.scheduler.run(body);
  }

  runFor(durationMs: number): Promise<void> {
    return this.world.scheduler.runFor(durationMs);
  }

  runUntil(holds: () => boolean, timeoutMs: number): Promise<void> {
    return this.world.scheduler.runUntil(holds, timeoutMs);
  }

  settle(): Promise<void> {
    return this.world.scheduler.settle();
  }

  stop(): void {
    this.world.scheduler.stop();
  }
}

/** One machine alone in its world. */
export function createSimEnv(options: SimWorldOptions): SimEnv {
  return new SimWorld(options).machine('localhost');
}

class SimTimers implements Timers {
  readonly #scheduler: Scheduler;
  readonly #alive: () => boolean;

  constructor(scheduler: Scheduler, alive: () => boolean) {
    this.#scheduler = scheduler;
    this.#alive = alive;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#scheduler.after(delayMs, () => {
      if (this.#alive()) callback();
    });
  }

  atEndOfTurn(callback: () => void): void {
    this.#scheduler.atEndOfTurn(() => {
      if (this.#alive()) callback();
    });
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => this.atEndOfTurn(resolve));
  }
}
