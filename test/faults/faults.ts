// What is done to the members and their links: chosen by a seed, begun, and made good again.

import type { Random } from '../../src/base/index.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ClusterMember, Server } from '../cluster/cluster-member.ts';

export const FAULTS = [
  'kill',
  'kill the leader',
  'kill most',
  'pause',
  'pause the leader',
  'isolate',
  'isolate the leader',
  'split',
  'cut one link',
  'hold one way',
  'leader hears nobody',
  'delay',
  'narrow',
  'reset',
  'move the leader',
] as const;
export type FaultName = (typeof FAULTS)[number];

/** What can happen to a member that has no others. */
const ALONE: readonly FaultName[] = ['kill', 'pause'];

/** Of `names`, what does something to so many members; never none. */
export function faultsAmong(names: readonly FaultName[], members: number): readonly FaultName[] {
  const possible = members > 1 ? names : names.filter((name) => ALONE.includes(name));
  if (possible.length > 0) return possible;
  throw new Error(`no fault of ${names.join(', ')} does anything to a single member`);
}

/** A fault that has begun. */
export interface Fault {
  readonly name: FaultName;
  readonly what: string;
  /** Makes it good, without waiting for the cluster. */
  end(): void;
}

const nothing = (): void => {};

export class FaultMaker {
  /** What members did by themselves and should not have done. */
  readonly wrong: string[] = [];
  readonly #cluster: Cluster;
  readonly #random: Random;
  /** Programs that take over after a kill; if empty, the member's own. */
  readonly #servers: readonly Server[];
  /** Killed by us and not started again. */
  readonly #down = new Set<ClusterMember>();
  readonly #starts = new Set<Promise<void>>();

  constructor(cluster: Cluster, random: Random, servers: readonly Server[] = []) {
    this.#cluster = cluster;
    this.#random = random;
    this.#servers = servers;
  }

  async begin(name: FaultName): Promise<Fault> {
    this.#lookForDeaths();
    const make = (what: string, end: () => void = nothing): Fault => ({ name, what, end });
    const { members, links } = this.#cluster;
    switch (name) {
      case 'kill':
        return this.#kill(name, [this.#any()]);
      case 'kill the leader':
        return this.#kill(name, [await this.#leader()]);
      case 'kill most':
        return this.#kill(name, this.#some(Math.floor(members.length / 2) + 1));
      case 'pause':
        return this.#pause(name, this.#any());
      case 'pause the leader':
        return this.#pause(name, await this.#leader());
      case 'isolate':
        return this.#isolate(name, this.#any());
      case 'isolate the leader':
        return this.#isolate(name, await this.#leader());
      case 'split': {
        const some = this.#some(Math.floor(members.length / 2));
        for (const a of some) {
          for (const b of members) if (!some.includes(b)) links.cut(a.name, b.name);
        }
        return make(some.map((one) => one.name).join(' '), () => links.heal());
      }
      case 'cut one link': {
        const [a, b] = this.#some(2);
        links.cut(a!.name, b!.name);
        return make(`${a!.name} ${b!.name}`, () => links.heal());
      }
      case 'hold one way': {
        const [a, b] = this.#some(2);
        links.block(a!.name, b!.name);
        return make(`${a!.name} to ${b!.name}`, () => links.heal());
      }
      case 'leader hears nobody': {
        const leader = await this.#leader();
        for (const one of members) if (one !== leader) links.block(one.name, leader.name);
        return make(leader.name, () => links.heal());
      }
      case 'delay':
        return this.#slow(name, () => ({ delayMs: this.#random.below(300) }));
      case 'narrow':
        return this.#slow(name, () => ({ bytesPerSecond: 10_000 + this.#random.below(200_000) }));
      case 'reset': {
        const [a, b] = this.#some(2);
        links.reset(a!.name, b!.name);
        return make(`${a!.name} ${b!.name}`);
      }
      case 'move the leader': {
        const target = this.#any();
        const leader = await this.#leader();
        void leader.client.call('Maintenance/MoveLeader', { targetID: target.id });
        return make(`to ${target.name}`);
      }
    }
  }

  /** Everything up and connected; resolves when every member serves clients. */
  async mend(): Promise<void> {
    this.#lookForDeaths();
    this.#cluster.links.heal();
    for (const member of this.#cluster.members) member.continue();
    for (const member of [...this.#down]) this.#start(member);
    await Promise.all(this.#starts);
  }

  #any(): ClusterMember {
    return this.#some(1)[0]!;
  }

  #some(count: number): ClusterMember[] {
    const all = [...this.#cluster.members];
    const chosen: ClusterMember[] = [];
    while (chosen.length < count && all.length > 0) {
      chosen.push(...all.splice(this.#random.below(all.length), 1));
    }
    return chosen;
  }

  /** Or anybody, if there is none. */
  #leader(): Promise<ClusterMember> {
    return this.#cluster.leader(2_000).catch(() => this.#any());
  }

  async #kill(name: FaultName, members: readonly ClusterMember[]): Promise<Fault> {
    const killed = members.filter((one) => one.isRunning);
    for (const one of killed) this.#down.add(one);
    await Promise.all(killed.map((one) => one.kill()));
    return {
      name,
      what: killed.map((one) => one.name).join(' '),
      end: () => {
        for (const one of killed) this.#start(one);
      },
    };
  }

  #start(member: ClusterMember): void {
    this.#down.delete(member);
    const count = this.#servers.length;
    const server = count === 0 ? member.server : this.#servers[this.#random.below(count)]!;
    const started: Promise<void> = member
      .restart(server)
      .catch((error: Error) => {
        // Killed again before it was ready?
        if (!this.#down.has(member)) this.wrong.push(error.message);
      })
      .finally(() => this.#starts.delete(started));
    this.#starts.add(started);
  }

  #pause(name: FaultName, member: ClusterMember): Fault {
    member.pause();
    return { name, what: member.name, end: () => member.continue() };
  }

  #isolate(name: FaultName, member: ClusterMember): Fault {
    const { links, members } = this.#cluster;
    links.isolate(
      member.name,
      members.map((one) => one.name),
    );
    return { name, what: member.name, end: () => links.heal() };
  }

  #slow(name: FaultName, how: () => { delayMs?: number; bytesPerSecond?: number }): Fault {
    const { links, members } = this.#cluster;
    const slowed: string[] = [];
    for (const a of members) {
      for (const b of members) {
        if (a === b || this.#random.below(2) === 0) continue;
        const slowness = how();
        links.slow(a.name, b.name, slowness);
        slowed.push(`${a.name} to ${b.name} ${JSON.stringify(slowness)}`);
      }
    }
    return { name, what: slowed.join(', '), end: () => links.heal() };
  }

  /** A member that exited without being killed. */
  #lookForDeaths(): void {
    for (const member of this.#cluster.members) {
      if (member.isRunning || this.#down.has(member)) continue;
      this.wrong.push(`${member.name} has ended by itself:\n${member.log().slice(-4000)}`);
      this.#start(member);
    }
  }
}
