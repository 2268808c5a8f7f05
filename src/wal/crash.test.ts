// Crashes at every effect on the disk, again and again, with any unsynced write lost or torn.

import { expect, test } from 'vitest';
import { type Random, seededRandom } from '../base/index.ts';
import { crashEverywhere, type SimDisk } from '../env/sim/index.ts';
import type { raftpb } from '../protocol/index.ts';
import {
  createWal,
  openWal,
  purgeSegments,
  readWal,
  summarizeWal,
  type Wal,
  type WalPosition,
  walExists,
} from './index.ts';
import {
  DIRECTORY,
  entry,
  envOf,
  METADATA,
  plainEntries,
  prepareDirectory,
  randomBytes,
  save,
  snapshot,
  state,
} from './wal.fixture.ts';

const START: WalPosition = { index: 0, term: 0 };
const options = { segmentSize: 3000 };

/** One record, as a deliberately naive twin of the log keeps it. */
type Item = { readonly entry: raftpb.Entry } | { readonly state: raftpb.HardState };

interface Promises {
  created: boolean;
  /** Everything handed to the log, in order. */
  readonly items: Item[];
  /** This many are durable. */
  durable: number;
  /** A durable snapshot; earlier segments may be gone. */
  start: WalPosition;
}

const newPromises = (): Promises => ({ created: false, items: [], durable: 0, start: START });

/** What a log with these records says after a position. */
function replay(items: readonly Item[], start: WalPosition): string {
  let entries: raftpb.Entry[] = [];
  let last = state(0, 0, 0n);
  for (const item of items) {
    if ('state' in item) last = item.state;
    else if (item.entry.index > start.index) {
      entries = entries.slice(0, item.entry.index - start.index - 1);
      entries.push(item.entry);
    }
  }
  return describe(entries, last);
}

function describe(entries: readonly raftpb.Entry[], last: raftpb.HardState): string {
  return `${plainEntries(entries).join()} ${last.term} ${last.vote} ${last.commit}`;
}

/** Appends and notes what is promised when it is done. */
async function appendNoting(
  wal: Wal,
  promises: Promises,
  entries: readonly raftpb.Entry[],
  hardState: raftpb.HardState | undefined,
  mustSync: boolean,
): Promise<void> {
  for (const each of entries) promises.items.push({ entry: each });
  if (hardState !== undefined) promises.items.push({ state: hardState });
  const count = promises.items.length;
  await save(wal, entries, hardState, mustSync);
  if (mustSync) promises.durable = Math.max(promises.durable, count);
}

/** Random appends: some at once, some replacing earlier entries, some unsynced. */
async function appendAtRandom(wal: Wal, promises: Promises, random: Random, count: number) {
  let last = wal.lastIndex;
  let term = 1;
  for (const item of promises.items) term = 'entry' in item ? item.entry.term : item.state.term;
  let committed = last;
  for (let i = 0; i < count; i++) {
    const outstanding: Promise<void>[] = [];
    for (let j = random.below(3); j >= 0; j--) {
      if (random.below(6) === 0 && last > committed) {
        term++;
        last -= random.below(last - committed + 1);
      }
      const entries = Array.from({ length: random.below(4) }, () =>
        entry(++last, term, randomBytes(random, random.below(random.below(8) === 0 ? 1500 : 80))),
      );
      const hardState = random.below(2) === 0 ? state(term, committed) : undefined;
      outstanding.push(appendNoting(wal, promises, entries, hardState, random.below(4) > 0));
    }
    await Promise.all(outstanding);
    if (random.below(3) === 0) committed = last;
  }
}

/** The log must be a prefix of what was handed to it, and hold at least what was promised. */
async function checkPromises(disk: SimDisk, promises: Promises, seed: number): Promise<void> {
  const env = envOf(disk);
  if (!(await walExists(env, DIRECTORY))) {
    expect(promises.created).toBe(false);
    return;
  }
  const random = seededRandom(seed);
  const found = await openWal(env, DIRECTORY, promises.start, options);
  const prefix = matchingPrefix(promises, describe(found.entries, found.hardState));
  expect(found.metadata).toEqual(METADATA);

  // Go on from there, be cut off once more, and look again: nothing old may come back.
  const continued: Promises = {
    created: true,
    items: promises.items.slice(0, prefix),
    durable: prefix,
    start: promises.start,
  };
  await appendAtRandom(found.wal, continued, random, 3);
  const again = envOf(disk.outcome({ seed }));
  const reread = await openWal(again, DIRECTORY, promises.start, options);
  matchingPrefix(continued, describe(reread.entries, reread.hardState));
  await reread.wal.close();
  const last = await readWal(again, DIRECTORY, promises.start);
  expect(describe(last.entries, last.hardState)).toBe(describe(reread.entries, reread.hardState));
}

/** How many of the records handed over the log holds. */
function matchingPrefix({ items, durable, start }: Promises, found: string): number {
  for (let count = items.length; count >= durable; count--) {
    if (replay(items.slice(0, count), start) === found) return count;
  }
  throw new Error(`lost or wrong: ${durable} of ${items.length} records were promised`);
}

test.each([1, 2, 3, 4])('appends and cuts, seed %i', { timeout: 120_000 }, async (seed) => {
  const points = await crashEverywhere<Promises>({
    seed,
    outcomes: 3,
    prepare: prepareDirectory,
    newState: newPromises,
    work: async (disk, promises) => {
      const wal = await createWal(envOf(disk), DIRECTORY, METADATA, options);
      promises.created = true;
      await appendAtRandom(wal, promises, seededRandom(seed), 20);
      await wal.close();
    },
    check: (disk, promises) => checkPromises(disk, promises, seed),
  });
  expect(points).toBeGreaterThan(40);
});

test.each([7, 8])('snapshots, release and purge, seed %i', { timeout: 120_000 }, async (seed) => {
  await crashEverywhere<Promises>({
    seed,
    outcomes: 3,
    prepare: prepareDirectory,
    newState: newPromises,
    work: async (disk, promises) => {
      const env = envOf(disk);
      const random = seededRandom(seed);
      const wal = await createWal(env, DIRECTORY, METADATA, options);
      promises.created = true;
      for (let index = 1; index <= 24; index++) {
        const entries = [entry(index, 1, randomBytes(random, 400))];
        await appendNoting(wal, promises, entries, state(1, index), true);
        if (index % 8 !== 0) continue;
        await wal.saveSnapshot(snapshot(index - 2, 1));
        promises.start = { index: index - 2, term: 1 };
        await wal.releaseTo(index - 2);
        await purgeSegments(env, wal, 1);
      }
      await wal.close();
    },
    check: async (disk, promises) => {
      await checkPromises(disk, promises, seed);
      if (!promises.created) return;
      const summary = await summarizeWal(envOf(disk.outcome({ seed })), DIRECTORY);
      const indexes = summary.validSnapshots.map((found) => found.index);
      expect(indexes).toContain(promises.start.index);
    },
  });
});

test('mending a torn tail, over and over', { timeout: 120_000 }, async () => {
  // The crash comes while the log is opened after a crash, or right after.
  let torn = 0;
  for (let seed = 0; seed < 25; seed++) {
    const promises = newPromises();
    await crashEverywhere<Promises>({
      seed,
      outcomes: 2,
      prepare: async (disk) => {
        await prepareDirectory(disk);
        Object.assign(promises, newPromises(), { items: [] });
        const env = envOf(disk);
        const wal = await createWal(env, DIRECTORY, METADATA, options);
        promises.created = true;
        const random = seededRandom(seed);
        await appendNoting(wal, promises, [entry(1, 1, randomBytes(random, 50))], undefined, true);
        await wal.close();
        // A large append of which only some sectors have arrived.
        const file = await disk.open(`${DIRECTORY}/${(await disk.list(DIRECTORY))[0]}`, 'write');
        const whole = await tornAppend(disk, seed, promises);
        for (let at = 0; at < whole.length; at += 512) {
          if (random.below(2) === 0) await file.write([whole.subarray(at, at + 512)], at);
        }
        await file.sync();
        await file.close();
      },
      newState: () => promises,
      work: async (disk) => {
        const opened = await openWal(envOf(disk), DIRECTORY, START, options);
        if (opened.repair !== undefined) torn++;
        promises.items.length = matchingPrefix(
          promises,
          describe(opened.entries, opened.hardState),
        );
        const small = [entry(opened.wal.lastIndex + 1, 1, 'x')];
        await appendNoting(opened.wal, promises, small, undefined, true);
        await opened.wal.close();
      },
      check: (disk) => checkPromises(disk, promises, seed),
    });
  }
  expect(torn).toBeGreaterThan(5);
});

/** What the segment would be after a large append. */
async function tornAppend(disk: SimDisk, seed: number, promises: Promises): Promise<Uint8Array> {
  const random = seededRandom(seed + 1000);
  const copy = disk.outcome({ seed, unsynced: 'kept' });
  const entries = [2, 3, 4].map((index) => entry(index, 1, randomBytes(random, 700)));
  const { wal } = await openWal(envOf(copy), DIRECTORY, START, options);
  for (const each of entries) promises.items.push({ entry: each });
  await save(wal, entries);
  await wal.close();
  return copy.contentOf(`${DIRECTORY}/${(await copy.list(DIRECTORY))[0]}`);
}
