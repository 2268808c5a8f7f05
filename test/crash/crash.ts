// Kills a member again and again under concurrent load, on the same data directory, and checks
// after each restart that nothing acknowledged is lost.

import { join } from 'node:path';
import { type Random, seededRandom } from '../../src/base/index.ts';
import { openDatabase } from '../../src/bbolt/index.ts';
import { createNodeEnv } from '../../src/net/index.ts';
import { ApiClient, type Message } from '../helpers/api.ts';
import { Member, type Program } from '../helpers/member.ts';
import { type Attempt, Model, type StoredEvent, type StoredKey } from './model.ts';

/** A server to run, with flags of its own. */
export interface Server {
  readonly program: Program;
  readonly flags?: readonly string[];
}

export interface CrashOptions {
  /** The first one starts the directory; after each crash any of them takes it over. */
  readonly servers: readonly [Server, ...Server[]];
  readonly seed: number;
  /** Ends after so many crashes, or at the deadline. */
  readonly rounds: number;
  readonly seconds: number;
  readonly log?: (line: string) => void;
}

export interface CrashReport {
  readonly rounds: number;
  readonly acknowledged: number;
  /** Empty when nothing was lost. */
  readonly wrong: readonly string[];
}

const CLIENTS = 4;
const WRITERS = 24;
const KEYS_PER_WRITER = 8;
const ACKNOWLEDGED_MAX = 1500;
const WRONG_MAX = 20;
/** About as many lines as a member logs while it starts. */
const START_LINES_MAX = 40;
// Small elections, so that restarts are quick; many snapshots, so that crashes meet them.
const FLAGS = ['--snapshot-count=100', '--heartbeat-interval=10', '--election-timeout=100'];
const ALL = { key: '\0', range_end: '\0' } as const;

interface HashTaken {
  readonly revision: string;
  readonly hash: Message;
}

class CrashRun {
  readonly #options: CrashOptions;
  readonly #random: Random;
  readonly #model = new Model();
  readonly #wrong: string[] = [];
  /** Granted and not revoked, as far as was acknowledged; false while that is unknown. */
  readonly #leases = new Map<string, boolean>();
  readonly #takenLeases = new Set<string>();
  #hashes: HashTaken[] = [];
  #sequence = 0;
  #acknowledged = 0;

  constructor(options: CrashOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  async run(): Promise<CrashReport> {
    const deadline = performance.now() + this.#options.seconds * 1000;
    const [{ program, flags = [] }] = this.#options.servers;
    const member = await Member.start(program, { flags: [...FLAGS, ...flags] });
    let round = 0;
    try {
      while (round < this.#options.rounds && performance.now() < deadline) {
        const before = this.#acknowledged;
        await this.#load(member);
        await this.#crash(member);
        await this.#verify(member);
        round++;
        const count = this.#acknowledged - before;
        this.#options.log?.(
          `crash ${round}: ${count} acknowledged, revision ${this.#model.base}, ` +
            `${this.#wrong.length} wrong, now ${member.program.name}`,
        );
        if (this.#wrong.length > 0) break;
      }
    } finally {
      await member.dispose();
    }
    const wrong = this.#wrong.slice(0, WRONG_MAX);
    return { rounds: round, acknowledged: this.#acknowledged, wrong };
  }

  /** Concurrent writers until a random number of acknowledgements; then kill -9 amid the rest. */
  async #load(member: Member): Promise<void> {
    const clients = Array.from({ length: CLIENTS }, () => new ApiClient(member.endpoint));
    const goal = 1 + this.#random.below(ACKNOWLEDGED_MAX);
    let stopping = false;
    let killed: Promise<void> | undefined;
    const stop = (): void => {
      if (stopping) return;
      stopping = true;
      killed = member.kill();
    };
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      const client = clients[writer % CLIENTS]!;
      while (!stopping) {
        const ok = await this.#write(writer, client, () => stopping);
        if (!ok) return;
        if (this.#model.acknowledgedCount >= goal) stop();
      }
    });
    await Promise.all([...writers, this.#maintain(clients[0]!, () => stopping)]);
    stop();
    await killed;
    for (const client of clients) client.close();
    this.#acknowledged += this.#model.acknowledgedCount;
  }

  /** Compactions, hashes and leases beside the writers. */
  async #maintain(client: ApiClient, stopping: () => boolean): Promise<void> {
    if (this.#random.below(3) === 0) {
      const request = { revision: String(this.#model.base), physical: this.#random.below(2) === 0 };
      await client.call('KV/Compact', request);
    }
    while (!stopping()) {
      const revision = String(this.#model.newestRevision);
      const reply = await client.call('Maintenance/HashKV', { revision });
      if (reply.message !== undefined) this.#hashes.push({ revision, hash: reply.message });
      if (this.#random.below(2) === 0) await this.#changeLease(client);
    }
  }

  async #changeLease(client: ApiClient): Promise<void> {
    const alive = [...this.#leases].filter(([, known]) => known).map(([id]) => id);
    if (alive.length > 10) {
      const ID = alive[this.#random.below(alive.length)]!;
      this.#leases.set(ID, false);
      const reply = await client.call('Lease/LeaseRevoke', { ID });
      if (reply.code === 0) this.#leases.delete(ID);
      return;
    }
    const ID = String(1 + this.#random.below(1_000_000_000));
    if (this.#takenLeases.has(ID)) return;
    this.#takenLeases.add(ID);
    this.#leases.set(ID, false);
    const reply = await client.call('Lease/LeaseGrant', { ID, TTL: '1000000' });
    if (reply.code === 0) this.#leases.set(ID, true);
  }

  /** One request of a writer. False when its fate is unknown, as at a crash. */
  async #write(writer: number, client: ApiClient, stopping: () => boolean): Promise<boolean> {
    const key = (): string => `${writer}/${this.#random.below(KEYS_PER_WRITER)}`;
    const first = key();
    const value = `${this.#options.seed}.${this.#sequence++}.${'x'.repeat(this.#random.below(400))}`;
    const kind = this.#random.below(10);
    let attempt: Attempt = [{ key: first, value }];
    let rpc = 'KV/Put';
    let request: Message = { key: first, value };
    if (kind === 0) {
      attempt = [{ key: first, value: undefined }];
      [rpc, request] = ['KV/DeleteRange', { key: first }];
    } else if (kind < 3) {
      const second = `${writer}/t${this.#random.below(KEYS_PER_WRITER)}`;
      attempt = [...attempt, { key: second, value }];
      const success = attempt.map((write) => ({
        request_put: { key: write.key, value: write.value },
      }));
      [rpc, request] = ['KV/Txn', { success }];
    }
    this.#model.begin(writer, attempt);
    const reply = await client.call(rpc, request);
    if (reply.message === undefined) {
      if (!stopping()) this.#wrong.push(`${rpc} failed: ${reply.code} ${reply.details}`);
      return false;
    }
    const revision = Number((reply.message['header'] as Message)['revision']);
    const changed = rpc !== 'KV/DeleteRange' || reply.message['deleted'] !== '0';
    this.#model.acknowledge(writer, changed ? revision : undefined);
    return true;
  }

  /** Checks the file as the crash left it, and restarts. */
  async #crash(member: Member): Promise<void> {
    const path = join(member.directory, 'member', 'snap', 'db');
    const database = await openDatabase(createNodeEnv(), path, { readOnly: true });
    for (const { page, text } of await database.check()) {
      this.#wrong.push(`${path}, page ${page}: ${text}`);
    }
    await database.close();
    if (this.#random.below(3) === 0) {
      await member.restartAndKillAtLine(1 + this.#random.below(START_LINES_MAX));
    }
    const { servers } = this.#options;
    const { program, flags = [] } = servers[this.#random.below(servers.length)]!;
    await member.restart({ program, flags: [...FLAGS, ...flags] });
  }

  async #verify(member: Member): Promise<void> {
    const client = new ApiClient(member.endpoint);
    try {
      const range = await client.must('KV/Range', ALL);
      const revision = Number((range['header'] as Message)['revision']);
      const keys = (range['kvs'] as readonly Message[]).map(
        (one): StoredKey => ({
          key: String(one['key']),
          value: String(one['value']),
          modRevision: Number(one['mod_revision']),
        }),
      );
      const events = await eventsAfter(client, this.#model.base, revision);
      this.#wrong.push(...this.#model.check(revision, keys, events));
      for (const taken of this.#hashes.splice(0)) await this.#checkHash(client, taken);
      await this.#checkLeases(client);
    } finally {
      client.close();
    }
  }

  async #checkHash(client: ApiClient, { revision, hash }: HashTaken): Promise<void> {
    const reply = await client.call('Maintenance/HashKV', { revision });
    const now = reply.message;
    if (now === undefined) {
      // Compacted at that very revision: then there is no hash to compare with.
      if (reply.code !== 11) this.#wrong.push(`HashKV at ${revision}: ${reply.details}`);
    } else if (
      now['compact_revision'] === hash['compact_revision'] &&
      now['hash'] !== hash['hash']
    ) {
      this.#wrong.push(`HashKV at ${revision} was ${hash['hash']} and is ${now['hash']}`);
    }
  }

  async #checkLeases(client: ApiClient): Promise<void> {
    const list = (await client.must('Lease/LeaseLeases', {}))['leases'] as readonly Message[];
    const found = new Set(list.map((lease) => String(lease['ID'])));
    for (const [id, known] of [...this.#leases]) {
      if (known && !found.has(id)) this.#wrong.push(`lease ${id} is lost`);
      if (found.has(id)) this.#leases.set(id, true);
      else this.#leases.delete(id);
    }
    for (const id of found) {
      if (!this.#leases.has(id)) this.#wrong.push(`lease ${id} was revoked and is there`);
    }
  }
}

async function eventsAfter(
  client: ApiClient,
  base: number,
  newest: number,
): Promise<StoredEvent[]> {
  if (newest <= base) return [];
  const stream = client.stream('Watch/Watch');
  stream.send({ create_request: { ...ALL, start_revision: String(base + 1) } });
  const events: StoredEvent[] = [];
  let handled = 0;
  const complete = await stream.until(() => {
    for (; handled < stream.received.length; handled++) {
      for (const event of stream.received[handled]!['events'] as readonly Message[]) {
        const pair = event['kv'] as Message;
        events.push({
          key: String(pair['key']),
          value: event['type'] === 1 ? undefined : String(pair['value']),
          revision: Number(pair['mod_revision']),
        });
      }
    }
    return events.at(-1)?.revision === newest;
  }, 30_000);
  stream.cancel();
  if (!complete) throw new Error(`only ${events.length} events between ${base} and ${newest}`);
  return events;
}

/** Runs to the end, the deadline or the first thing that is wrong. */
export function runCrashes(options: CrashOptions): Promise<CrashReport> {
  return new CrashRun(options).run();
}
