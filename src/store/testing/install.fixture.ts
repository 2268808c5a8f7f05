// A leader whose log a follower applies late, or gets as a snapshot; watchers on the follower; and the
// naive twin: a list of everything that ever happened.

import { bytesFromLatin1, latin1FromBytes, type Random, seededRandom } from '../../base/index.ts';
import { OPEN_MODES } from '../../env/index.ts';
import type { SimEnv } from '../../env/sim/index.ts';
import {
  type EventBatch,
  rangeContains,
  WATCHER_STATE,
  type Watcher,
  type WatchSink,
  WatchStream,
} from '../../mvcc/index.ts';
import { etcdserverpb, mvccpb, type raftpb } from '../../protocol/index.ts';
import { encodeEnvelope, REQUEST_KIND } from '../apply/request-envelope.ts';
import type { DatabaseCopy } from '../backend/database-copy.ts';
import { deleteOf, type RigOptions, StoreRig } from './store.fixture.ts';

/** Writes a copy to a file of that name, synced. */
export async function saveCopy(env: SimEnv, copy: DatabaseCopy, path: string): Promise<void> {
  const file = await env.disk.open(path, OPEN_MODES.CREATE);
  let at = 0;
  for await (const chunk of copy.chunks()) {
    await file.write([chunk], at);
    at += chunk.length;
  }
  await file.sync();
  await file.close();
}

interface Happened {
  readonly key: string;
  readonly main: number;
  readonly text: string;
}

function decode(batch: EventBatch): Happened[] {
  const bytes = new Uint8Array(batch.byteCount());
  batch.write(bytes, 0);
  const events: Happened[] = [];
  for (let at = 0; at < bytes.length; ) {
    at++;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    const { type, kv } = mvccpb.EventCodec.decode(bytes, at, at + length);
    const key = latin1FromBytes(kv!.key);
    const main = kv!.modRevision;
    const text =
      type === 1 ? `${main} delete ${key}` : `${main} ${key}=${latin1FromBytes(kv!.value)}`;
    events.push({ key, main, text });
    at += length;
  }
  return events;
}

export class Sink implements WatchSink {
  room = Number.POSITIVE_INFINITY;
  readonly seen = new Map<Watcher, Happened[]>();
  readonly compactedAt = new Map<Watcher, number>();

  offer(watchers: readonly Watcher[], from: number, to: number, batch: EventBatch): number {
    const end = Math.min(to, from + this.room);
    this.room -= end - from;
    for (let i = from; i < end; i++) this.of(watchers[i]!).push(...decode(batch));
    return end - from;
  }

  compacted(watcher: Watcher, compactedRev: number): void {
    this.compactedAt.set(watcher, compactedRev);
  }

  of(watcher: Watcher): Happened[] {
    let seen = this.seen.get(watcher);
    if (seen === undefined) {
      seen = [];
      this.seen.set(watcher, seen);
    }
    return seen;
  }
}

interface Watched {
  readonly watcher: Watcher;
  /** The first revision it is to see. */
  readonly from: number;
}

const KEYS = ['a', 'b', 'c', 'd', 'e'];

export class InstallWorld {
  readonly env: SimEnv;
  readonly random: Random;
  readonly leader: StoreRig;
  follower: StoreRig;
  readonly log: raftpb.Entry[] = [];
  readonly happened: Happened[] = [];
  readonly streams: WatchStream[] = [];
  readonly watched: Watched[] = [];
  readonly failures: unknown[] = [];
  readonly retired: Promise<void>[] = [];
  installs = 0;
  /** Compares that a progress revision made possible. */
  progressChecks = 0;

  constructor(env: SimEnv, seed: number, leader: StoreRig, follower: StoreRig) {
    this.env = env;
    this.random = seededRandom(seed);
    this.leader = leader;
    this.follower = follower;
    for (let i = 0; i < 3; i++) this.streams.push(new WatchStream(new Sink()));
  }

  static async open(env: SimEnv, seed: number): Promise<InstallWorld> {
    const leader = await StoreRig.open(env, { ...SETTINGS, path: '/leader' });
    const follower = await StoreRig.open(env, SETTINGS);
    return new InstallWorld(env, seed, leader, follower);
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.env.timers.after(ms, resolve));
  }

  /** A new entry, which the leader applies at once. */
  write(): void {
    const { leader, random } = this;
    const kind = random.below(12);
    const index = this.log.length + 1;
    if (kind === 0 && leader.kv.currentRev > 3) {
      const low = Math.max(leader.kv.compactedRev, 0);
      const revision = low + 1 + random.below(Math.max(1, leader.kv.currentRev - low));
      const codec = etcdserverpb.CompactionRequestCodec;
      const body = codec.encode(codec.create({ revision }));
      this.#append(encodeEnvelope(REQUEST_KIND.COMPACTION, 1, index, body));
      return;
    }
    const before = leader.kv.currentRev;
    const exists = new Set(leader.pairs().map((pair) => pair.slice(0, 1)));
    if (kind < 4) {
      const gone = KEYS.filter((key) => exists.has(key) && key >= 'b' && key < 'd');
      this.#append(encodeEnvelope(REQUEST_KIND.DELETE_RANGE, 1, index, deleteOf('b', 'd')));
      for (const key of gone) this.#note(key, before + 1, `${before + 1} delete ${key}`);
      return;
    }
    const keys = KEYS.filter(() => random.below(2) === 0);
    const success = keys.map((key) =>
      etcdserverpb.RequestOpCodec.create({
        request: {
          case: 'requestPut',
          value: etcdserverpb.PutRequestCodec.create({
            key: bytesFromLatin1(key),
            value: bytesFromLatin1(`v${index}`),
          }),
        },
      }),
    );
    const codec = etcdserverpb.TxnRequestCodec;
    const body = codec.encode(codec.create({ success }));
    this.#append(encodeEnvelope(REQUEST_KIND.TXN, 1, index, body));
    for (const key of keys) this.#note(key, before + 1, `${before + 1} ${key}=v${index}`);
  }

  #append(data: Uint8Array): void {
    const entry = { type: 0, term: 1, index: this.log.length + 1, data };
    this.log.push(entry);
    this.leader.applyEntry(entry);
    this.leader.machine.endTurn();
  }

  #note(key: string, main: number, text: string): void {
    this.happened.push({ key, main, text });
  }

  /** The follower takes some of the entries that it lacks, but none beyond `limit`. */
  follow(limit = this.log.length): void {
    const { machine } = this.follower;
    const count = this.random.below(6);
    for (let i = 0; i < count && machine.appliedIndex < limit; i++) {
      this.follower.applyEntry(this.log[machine.appliedIndex]!);
    }
    machine.endTurn();
  }

  watch(): void {
    const { random, follower } = this;
    const stream = this.streams[random.below(this.streams.length)]!;
    const now = follower.kv.currentRev;
    const key = KEYS[random.below(KEYS.length)]!;
    const startRev = random.below(2) === 0 ? 0 : random.below(now + 6);
    const answer = follower.machine.watch.hub.watch(stream, 0n, {
      key,
      rangeEnd: ['', '\0', 'd'][random.below(key < 'd' ? 3 : 2)]!,
      startRev,
      noPut: false,
      noDelete: false,
      withPrevious: random.below(3) === 0,
    });
    if (!answer.ok) throw new Error(answer.reason);
    this.watched.push({ watcher: answer.watcher, from: startRev === 0 ? now + 1 : startRev });
    follower.machine.watch.schedule();
  }

  /** One thing that may happen at any time while no snapshot is being installed. */
  async step(limit?: number): Promise<void> {
    const { random, follower } = this;
    const kind = random.below(20);
    const stream = this.streams[random.below(this.streams.length)]!;
    const sink = stream.sink as Sink;
    if (kind < 7) this.write();
    else if (kind < 11) this.follow(limit);
    else if (kind < 13) this.watch();
    else if (kind === 13) sink.room = random.below(4);
    else if (kind < 16) {
      sink.room = 1 + random.below(8);
      follower.machine.watch.resume(stream);
    } else if (kind < 18) await this.pause(random.below(8));
    else if (kind === 18) this.#checkProgress(stream);
    else if (random.below(6) === 0) {
      const { watcher } = this.watched[random.below(this.watched.length || 1)] ?? {};
      if (watcher !== undefined) follower.machine.watch.hub.cancel(watcher.stream, watcher.id);
    }
    const wrong = follower.machine.watch.hub.check();
    if (wrong.length > 0) throw new Error(wrong.join('; '));
  }

  /** The leader's database is copied while both go on, and takes the place of the follower's. */
  async install(): Promise<void> {
    const copy = await this.leader.backend.openCopy();
    const { index, term } = copy.durable;
    const path = `/${this.installs++}.snap.db`;
    const saving = saveCopy(this.env, copy, path);
    const steps = this.random.below(12);
    for (let i = 0; i < steps; i++) await this.step(index);
    await saving;
    copy.close();
    const { rig, retired } = await this.follower.install(
      path,
      { index, term },
      SETTINGS,
      async () => {
        for (let i = 0; i < 3; i++) await this.step(index);
      },
    );
    this.retired.push(retired);
    this.failures.push(...this.follower.failures);
    this.follower = rig;
  }

  /** All streams accept everything; then each watcher has seen what was for it, once and in order. */
  async finish(): Promise<string[]> {
    while (this.follower.machine.appliedIndex < this.log.length) this.follow();
    for (const stream of this.streams) {
      (stream.sink as Sink).room = Number.POSITIVE_INFINITY;
      this.follower.machine.watch.resume(stream);
    }
    await this.pause(1000);
    await Promise.all(this.retired);
    return this.watched.flatMap((watched) => this.#differences(watched));
  }

  async close(): Promise<void> {
    this.failures.push(...this.follower.failures, ...this.leader.failures);
    this.follower.machine.watch.stop();
    await this.follower.close();
    await this.leader.close();
  }

  #expected({ watcher, from }: Watched, until = Number.POSITIVE_INFINITY): string[] {
    return this.happened
      .filter(({ main }) => main >= from && main <= until)
      .filter(({ key }) => rangeContains(watcher.key, watcher.rangeEnd, key))
      .map(({ text }) => text);
  }

  #differences(watched: Watched): string[] {
    const { watcher } = watched;
    const sink = watcher.stream.sink as Sink;
    const seen = sink.of(watcher).map(({ text }) => text);
    let expected = this.#expected(watched);
    const isOver = watcher.state === WATCHER_STATE.COMPACTED;
    if (isOver || watcher.state === WATCHER_STATE.CANCELED)
      expected = expected.slice(0, seen.length);
    else if (watcher.state !== WATCHER_STATE.SYNCED) return [`${watcher.id} is not synced`];
    const wrong: string[] = [];
    if (seen.join() !== expected.join()) {
      wrong.push(`${watcher.id} from ${watched.from} saw ${seen.join()}, not ${expected.join()}`);
    }
    if (isOver && !(sink.compactedAt.get(watcher)! > watcher.minRev)) {
      wrong.push(`${watcher.id} was told of a compaction that does not concern it`);
    }
    return wrong;
  }

  /** A progress response now would tell the stream that it has seen everything up to a revision. */
  #checkProgress(stream: WatchStream): void {
    const watchers = [...stream.watchers.values()];
    const rev = this.follower.machine.watch.hub.progressRev(watchers);
    if (rev === undefined) return;
    this.progressChecks++;
    for (const watched of this.watched) {
      if (!watchers.includes(watched.watcher)) continue;
      const seen = (stream.sink as Sink).of(watched.watcher).map(({ text }) => text);
      const expected = this.#expected(watched, rev);
      if (seen.join() !== expected.join()) throw new Error(`progress ${rev} is ahead of events`);
    }
  }
}

const SETTINGS: RigOptions = { batchIntervalMs: 5, batchChanges: 8 };
