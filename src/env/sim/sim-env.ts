// A simulated world: machines that share one time and one network, each with its own disk.
//
// A `SimEnv` is one process on one machine. When it crashes it is dead: its timers, streams and disk
// operations never call back, so that code of the dead process stops at its `await`. `crash()`
// returns the env of the next process on that machine, with the disk as it is found. While it is
// paused nothing calls back either; what was due then comes when it resumes.

import { type Random, seededRandom } from '../../base/index.ts';
import type { Entropy, Env, Network, Timers } from '../index.ts';
import type { CrashFate } from './file-data.ts';
import type { Schedule } from './operations.ts';
import { Scheduler } from './scheduler.ts';
import { SimClock } from './sim-clock.ts';
import { SimDisk } from './sim-disk.ts';
import { SimNetwork } from './sim-network.ts';
import { SimProcess } from './sim-process.ts';

/** What a world is made of. */
export interface SimWorldOptions {
  readonly seed: number;
  /** See `Scheduler`. True by default. */
  readonly autoRun?: boolean;
}

/** Machines that share one time and one network. */
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

/** One process on a simulated machine. */
export class SimEnv implements Env {
  readonly name: string;
  readonly world: SimWorld;
  readonly clock: SimClock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly disk: SimDisk;
  readonly network: Network;
  readonly #process: SimProcess;

  constructor(world: SimWorld, name: string, before: SimEnv | undefined, disk?: SimDisk) {
    this.name = name;
    this.world = world;
    this.clock = before?.clock ?? new SimClock(world.scheduler);
    this.#process = new SimProcess(world.scheduler, this.clock);
    this.timers = this.#process;
    const random = seededRandom(world.newSeed());
    this.entropy = {
      bytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)),
    };
    const schedule = this.#schedule;
    this.disk = disk ?? new SimDisk({ seed: world.newSeed(), schedule });
    this.network = world.network.viewOf(name, this.#process);
  }

  readonly #schedule: Schedule = (delayMs, callback) => {
    this.timers.after(delayMs, callback);
  };

  get dead(): boolean {
    return this.#process.dead;
  }

  /** Pauses the process (SIGSTOP); its machine and the clocks continue. */
  pause(): void {
    this.#process.pause();
  }

  /** The process resumes (SIGCONT): first with what was due in the meantime, in order. */
  resume(): void {
    this.#process.resume();
  }

  /**
   * The process dies. With `unsynced: 'kept'` that is all (kill -9: the system still has what was
   * written); by default the machine has lost its power, and unsynced writes are lost or torn.
   */
  crash(options: { readonly seed?: number; readonly unsynced?: CrashFate } = {}): SimEnv {
    this.#process.die();
    this.world.network.abandon(this.#process);
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
