// A log that was read without the lock, and is then opened for appending.

import { expect, test } from 'vitest';
import { seededRandom } from '../base/index.ts';
import { OPEN_MODES } from '../env/index.ts';
import { createWal, openWal, purgeSegments, readWal, scanWal, type Wal } from './index.ts';
import {
  DIRECTORY,
  entry,
  METADATA,
  newEnv,
  plainEntries,
  save,
  snapshot,
  state,
} from './wal.fixture.ts';

const START = { index: 0, term: 0 };
const FIRST_SEGMENT = `${DIRECTORY}/0000000000000000-0000000000000000.wal`;

test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])('what came since is read, seed %i', async (seed) => {
  const random = seededRandom(seed);
  const env = await newEnv(seed);
  const options = { segmentSize: 300 + random.below(600) };
  let index = 0;
  let term = 1;
  const appendSome = async (wal: Wal): Promise<void> => {
    for (let left = random.below(6); left > 0; left--) {
      // Now and then another leader's entry takes the place of others.
      if (index > 0 && random.below(4) === 0) {
        index -= random.below(Math.min(3, index));
        term++;
      } else index++;
      await save(wal, [entry(index, term, 'x'.repeat(random.below(200)))], state(term, 0));
    }
    await wal.close();
  };
  await appendSome(await createWal(env, DIRECTORY, METADATA, options));
  const scan = await scanWal(env, DIRECTORY, START);
  await appendSome((await openWal(env, DIRECTORY, START, options)).wal);

  const expected = await readWal(env, DIRECTORY, START);
  const opened = await openWal(env, DIRECTORY, scan, options);
  expect(plainEntries(opened.entries)).toEqual(plainEntries(expected.entries));
  expect(opened.hardState).toEqual(expected.hardState);
  await save(opened.wal, [entry(index + 1, term, 'last')]);
  await opened.wal.close();
  const { entries } = await readWal(env, DIRECTORY, START);
  expect(plainEntries(entries)).toEqual([
    ...plainEntries(expected.entries),
    `${index + 1}/${term}/0/last`,
  ]);
});

test('what was scanned is not read again', async () => {
  const env = await newEnv(20);
  const wal = await createWal(env, DIRECTORY, METADATA);
  await save(wal, [entry(1, 1, 'one')]);
  await wal.close();
  const scan = await scanWal(env, DIRECTORY, START);
  const file = await env.disk.open(FIRST_SEGMENT, OPEN_MODES.WRITE);
  await file.write([Uint8Array.of(1, 2, 3)], 70);
  await file.close();
  await expect(readWal(env, DIRECTORY, START)).rejects.toMatchObject({ code: 'CORRUPT' });
  const opened = await openWal(env, DIRECTORY, scan);
  expect(plainEntries(opened.entries)).toEqual(['1/1/0/one']);
  await opened.wal.close();
});

test('a position without a snapshot is found out, and entries that are not there', async () => {
  const env = await newEnv(21);
  const wal = await createWal(env, DIRECTORY, METADATA);
  await save(wal, [entry(1, 1), entry(2, 1)], state(1, 2));
  await wal.saveSnapshot(snapshot(2, 1));
  await wal.saveSnapshot(snapshot(100, 3));
  await save(wal, [entry(101, 3)], state(3, 100));
  await wal.close();
  const scanFrom = async (index: number, term: number): Promise<number[]> => {
    const scan = await scanWal(env, DIRECTORY, { index, term });
    return scan.validSnapshots.map((found) => found.index);
  };
  expect(await scanFrom(0, 0)).toEqual([0, 2, 100]);
  expect(await scanFrom(2, 9)).toEqual([0, 2, 100]);
  expect(await scanFrom(50, 1)).toEqual([0, 2, 100]);
  const refused = async (index: number, term: number, text: RegExp): Promise<void> => {
    const scan = await scanWal(env, DIRECTORY, { index, term });
    await expect(openWal(env, DIRECTORY, scan)).rejects.toThrow(text);
  };
  await refused(0, 0, /entry 101 follows 2/);
  await refused(2, 9, /snapshot mismatch at index 2: term 1, wanted 9/);
  await refused(50, 1, /entry 101 follows 50/);
});

test('a segment that was removed since is not missed', async () => {
  const env = await newEnv(22);
  const small = { segmentSize: 300 };
  const wal = await createWal(env, DIRECTORY, METADATA, small);
  await save(wal, [entry(1, 1, 'x'.repeat(100))], state(1, 1));
  await wal.saveSnapshot(snapshot(1, 1));
  const scan = await scanWal(env, DIRECTORY, { index: 1, term: 1 });
  for (let i = 2; i <= 4; i++) await save(wal, [entry(i, 1, 'x'.repeat(300))], state(1, i));
  await wal.saveSnapshot(snapshot(4, 1));
  await wal.releaseTo(4);
  expect(await purgeSegments(env, wal, 1)).toBeGreaterThan(0);
  await wal.close();
  await expect(openWal(env, DIRECTORY, scan)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
