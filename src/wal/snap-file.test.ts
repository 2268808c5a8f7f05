import { expect, test } from 'vitest';
import { bytesFromUtf8, crc32c } from '../base/index.ts';
import { crashEverywhere, SimDisk } from '../env/sim/index.ts';
import { raftpb } from '../protocol/index.ts';
import {
  cleanSnapDirectory,
  listSnapFiles,
  newestSnapFile,
  purgeSnapFiles,
  readSnapFile,
  removeSnapDatabases,
  snapDatabasePath,
  writeSnapFile,
} from './index.ts';
import { snapshot as walSnapshot } from './wal.fixture.ts';

const DIRECTORY = '/snap';

function snapshot(index: number, term: number, data = '{"Root":{}}'): raftpb.Snapshot {
  const { confState } = walSnapshot(index, term);
  return { data: bytesFromUtf8(data), metadata: { confState, index, term } };
}

async function newDisk(): Promise<SimDisk> {
  const disk = new SimDisk({ seed: 1 });
  await disk.makeDirectory(DIRECTORY);
  await disk.syncDirectory('/');
  return disk;
}

async function create(disk: SimDisk, ...names: string[]): Promise<void> {
  for (const name of names) await (await disk.open(`${DIRECTORY}/${name}`, 'create')).close();
}

test('a file is written and read', async () => {
  const disk = await newDisk();
  const path = await writeSnapFile(disk, DIRECTORY, snapshot(0x66, 2));
  expect(path).toBe('/snap/0000000000000002-0000000000000066.snap');
  expect(await readSnapFile(disk, path)).toEqual(snapshot(0x66, 2));
  const bytes = disk.contentOf(path);
  const data = raftpb.SnapshotCodec.encode(snapshot(0x66, 2));
  const crc = crc32c(0, data);
  expect(bytes[0]).toBe(0x08);
  expect(Buffer.from(bytes).indexOf(Buffer.from(data))).toBe(bytes.length - data.length);
  expect(crc).toBeGreaterThan(0);
  // Once more, over what is there.
  await writeSnapFile(disk, DIRECTORY, snapshot(0x66, 2, 'other'));
  expect(await readSnapFile(disk, path)).toEqual(snapshot(0x66, 2, 'other'));
  expect((await disk.stat(path))?.mode).toBe(0o666);
});

test('any byte that changes is noticed', async () => {
  const disk = await newDisk();
  const path = await writeSnapFile(disk, DIRECTORY, snapshot(7, 1));
  const bytes = disk.contentOf(path);
  for (let at = 0; at < bytes.length; at++) {
    for (const change of [0xff, 1, 0x80]) {
      const damaged = disk.outcome({ seed: 1, unsynced: 'kept' });
      damaged.corrupt(path, at, Uint8Array.of(bytes[at]! ^ change));
      await expect(readSnapFile(damaged, path)).rejects.toMatchObject({ code: 'CORRUPT' });
    }
  }
  for (let size = 0; size < bytes.length; size++) {
    const cut = disk.outcome({ seed: 1, unsynced: 'kept' });
    const file = await cut.open(path, 'write');
    await file.truncate(size);
    await expect(readSnapFile(cut, path)).rejects.toThrow(/^snap: \/snap\/.*\.snap: /);
  }
});

test('the newest that can be read and is known to the log', async () => {
  const disk = await newDisk();
  for (const [index, term] of [
    [5, 1],
    [9, 1],
    [7, 2],
    [12, 2],
  ] as const) {
    await writeSnapFile(disk, DIRECTORY, snapshot(index, term));
  }
  await create(disk, 'db', 'notes.txt');
  const names = (await listSnapFiles(disk, DIRECTORY)).map(({ term, index }) => `${term}-${index}`);
  expect(names).toEqual(['2-12', '2-7', '1-9', '1-5']);
  expect((await newestSnapFile(disk, DIRECTORY))?.snapshot.metadata?.index).toBe(12);
  const among = [walSnapshot(9, 1), walSnapshot(7, 2)];
  expect((await newestSnapFile(disk, DIRECTORY, { among }))?.snapshot.metadata?.index).toBe(7);
  expect(await newestSnapFile(disk, DIRECTORY, { among: [] })).toBeUndefined();

  const setAside: string[] = [];
  const observer = { setAside: (path: string) => setAside.push(path) };
  disk.flipBit('/snap/0000000000000002-000000000000000c.snap', 200);
  const found = await newestSnapFile(disk, DIRECTORY, { observer });
  expect(found?.path).toBe('/snap/0000000000000002-0000000000000007.snap');
  expect(setAside).toEqual(['/snap/0000000000000002-000000000000000c.snap']);
  expect(await disk.list(DIRECTORY)).toContain('0000000000000002-000000000000000c.snap.broken');
});

test('orphans and old files are removed', async () => {
  const disk = await newDisk();
  const removed: string[] = [];
  const observer = { removed: (path: string) => removed.push(path.slice(DIRECTORY.length + 1)) };
  await create(disk, 'db', 'db.tmp.1', 'tmp123', 'tmp-x.snap', 'a.snap', 'b.snap', 'c.snap');
  await cleanSnapDirectory(disk, DIRECTORY, observer);
  expect(removed.splice(0)).toEqual(['db.tmp.1', 'tmp-x.snap', 'tmp123']);
  for (const index of [3, 9, 20]) {
    await (await disk.open(snapDatabasePath(DIRECTORY, index), 'create')).close();
  }
  await removeSnapDatabases(disk, DIRECTORY, 9, observer);
  expect(removed.splice(0)).toEqual(['0000000000000003.snap.db']);
  expect(await purgeSnapFiles(disk, DIRECTORY, 1, 8, observer)).toBe(2);
  expect(removed.splice(0)).toEqual(['a.snap', 'b.snap']);
  expect(await purgeSnapFiles(disk, DIRECTORY, 1, 9, observer)).toBe(1);
  expect(removed).toEqual(['0000000000000009.snap.db']);
  expect(await disk.list(DIRECTORY)).toEqual(['0000000000000014.snap.db', 'c.snap', 'db']);
});

test('a crash while it is written leaves it whole or not there', async () => {
  await crashEverywhere<{ written: boolean }>({
    seed: 1,
    outcomes: 10,
    prepare: async (disk) => {
      await disk.makeDirectory(DIRECTORY);
      await disk.syncDirectory('/');
      await writeSnapFile(disk, DIRECTORY, snapshot(3, 1));
    },
    newState: () => ({ written: false }),
    work: async (disk, state) => {
      await writeSnapFile(disk, DIRECTORY, snapshot(8, 1, 'x'.repeat(5000)));
      state.written = true;
    },
    check: async (disk, state) => {
      await cleanSnapDirectory(disk, DIRECTORY);
      const found = await newestSnapFile(disk, DIRECTORY, {
        observer: {
          setAside: (path) => {
            throw new Error(`${path} is broken`);
          },
        },
      });
      const index = found?.snapshot.metadata?.index;
      expect(state.written ? [8] : [3, 8]).toContain(index);
    },
  });
});
