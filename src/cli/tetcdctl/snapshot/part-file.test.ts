import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { createMemoryDisk, type Disk, OPEN_MODES } from '../../../env/index.ts';
import { PartFile } from './part-file.ts';

const DATABASE = Buffer.alloc(4_096, 'database');
const SUM = createHash('sha256').update(DATABASE).digest();
const WHOLE = Buffer.concat([DATABASE, SUM]);

async function save(disk: Disk, pieces: readonly Uint8Array[]): Promise<void> {
  const part = await PartFile.open(disk, '/saved');
  try {
    for (const piece of pieces) await part.append(piece);
    await part.commit();
  } finally {
    await part.discard();
  }
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_unused, i) => bytes.subarray(i * size, (i + 1) * size));
}

async function contentOf(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, OPEN_MODES.READ);
  const bytes = Buffer.alloc(file.size());
  await file.read(bytes, 0);
  await file.close();
  return bytes;
}

test.each([1, 7, 31, 32, 33, 4_096, 9_999])('pieces of %i bytes become the file', async (size) => {
  const disk = createMemoryDisk();
  await save(disk, cut(WHOLE, size));
  expect(await contentOf(disk, '/saved')).toEqual(WHOLE);
  expect((await disk.stat('/saved'))?.mode).toBe(0o600);
  expect(await disk.list('/')).toEqual(['saved']);
});

test.each([
  ['cut off', WHOLE.subarray(0, 4_000), 'sha256 checksum not found [bytes: 4000]'],
  ['empty', Buffer.alloc(0), 'sha256 checksum not found [bytes: 0]'],
  ['without a sum', DATABASE, 'sha256 checksum not found [bytes: 4096]'],
  ['short by a sector', WHOLE.subarray(512), 'sha256 checksum does not match [bytes: 3616]'],
  [
    'changed',
    Buffer.from(WHOLE).fill('x', 100, 101),
    'sha256 checksum does not match [bytes: 4128]',
  ],
])('what is %s is refused, and the file that was there stays', async (_what, bytes, text) => {
  const disk = createMemoryDisk();
  await save(disk, [WHOLE]);
  await expect(save(disk, cut(bytes, 1_000))).rejects.toThrow(text);
  expect(await contentOf(disk, '/saved')).toEqual(WHOLE);
  expect(await disk.list('/')).toEqual(['saved']);
});

test('what an interrupted run has left is overwritten', async () => {
  const disk = createMemoryDisk();
  const left = await PartFile.open(disk, '/saved');
  await left.append(Buffer.alloc(100_000));
  await save(disk, [WHOLE]);
  expect(await contentOf(disk, '/saved')).toEqual(WHOLE);
});

test('a directory of the temporary name is refused and stays', async () => {
  const disk = createMemoryDisk();
  await disk.makeDirectory('/saved.part');
  await expect(save(disk, [WHOLE])).rejects.toThrow('could not open /saved.part (');
  expect(await disk.list('/')).toEqual(['saved.part']);
});
