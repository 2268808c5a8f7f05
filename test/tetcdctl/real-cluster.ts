// A cluster of one server program on loopback: its members are processes, each with its own directory.

import { Member, type MemberOptions, type Program } from '../member.ts';
import { freePort } from '../server-process.ts';

export interface Place {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

export interface ClusterMember extends Place {
  /** `host:port` of the client side. */
  readonly endpoint: string;
  readonly peerUrl: string;
  readonly process: Member;
}

const ATTEMPTS = 5;

export function peerUrlOf({ peerPort }: Place): string {
  return `http://127.0.0.1:${peerPort}`;
}

/** A place where nobody listens now. */
export async function freePlace(name: string): Promise<Place> {
  return { name, clientPort: await freePort(), peerPort: await freePort() };
}

export class RealCluster {
  readonly members: ClusterMember[] = [];
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** `m1`, `m2` and so on; resolves when all serve. */
  static async start(program: Program, count = 3): Promise<RealCluster> {
    for (let attempt = 1; ; attempt++) {
      const cluster = new RealCluster(program);
      const places: Place[] = [];
      for (let i = 1; i <= count; i++) places.push(await freePlace(`m${i}`));
      const list = places.map((place) => `${place.name}=${peerUrlOf(place)}`).join(',');
      const starting = places.map((place) => cluster.#launch(place, list, []));
      try {
        await Promise.all(starting);
        cluster.members.sort((a, b) => (a.name < b.name ? -1 : 1));
        return cluster;
      } catch (error) {
        await Promise.allSettled(starting);
        await cluster.dispose();
        // Another process may have taken a port in between.
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  get endpoints(): readonly string[] {
    return this.members.map(({ endpoint }) => endpoint);
  }

  /** Starts a member that the cluster has taken in already. */
  async join(place: Place): Promise<ClusterMember> {
    const known = this.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`);
    const list = [...known, `${place.name}=${peerUrlOf(place)}`].join(',');
    return this.#launch(place, list, ['--initial-cluster-state=existing']);
  }

  async #launch(place: Place, list: string, flags: readonly string[]): Promise<ClusterMember> {
    const client = `http://127.0.0.1:${place.clientPort}`;
    const peerUrl = peerUrlOf(place);
    const options: MemberOptions = {
      name: place.name,
      // These come after those that the process would have by itself, and count.
      flags: [
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=${list}`,
        // Members are added and removed at once, not five seconds after the start.
        '--strict-reconfig-check=false',
        ...flags,
      ],
    };
    const process = await Member.start(this.#program, options);
    const endpoint = `127.0.0.1:${place.clientPort}`;
    const member = { ...place, endpoint, peerUrl, process };
    this.members.push(member);
    return member;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.dispose()));
  }
}
