// The worked example of README.md, and frames known from etcd.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../base/index.ts';
import { FrameBuffer } from './frame-buffer.ts';
import { createWal, readWal } from './index.ts';
import { RECORD_TYPES } from './record-types.ts';
import { hex16, parseSegmentName, segmentName } from './segment-name.ts';
import { DIRECTORY, entry, newEnv, save, state } from './wal.fixture.ts';

function hexExample(): Uint8Array {
  const readme = readFileSync(new URL('./README.md', import.meta.url), 'utf8');
  const block = /```hex\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  const lines = block.trimEnd().split('\n');
  return Uint8Array.from(
    lines.flatMap((line, i) => {
      const match = /^([0-9a-f]{4}) ((?: [0-9a-f]{2}){8})(?: {2}.*)?$/.exec(line);
      expect(match?.[1]).toBe((i * 8).toString(16).padStart(4, '0'));
      return match![2]!
        .trim()
        .split(' ')
        .map((digits) => Number.parseInt(digits, 16));
    }),
  );
}

test('the example in the README is what is written, and is read', async () => {
  const example = hexExample();
  const env = await newEnv(1);
  const metadata = bytesFromLatin1('somedata');
  const wal = await createWal(env, DIRECTORY, metadata, { segmentSize: 4096 });
  await save(wal, [entry(1, 1, 'hello')], state(1, 1, 10n));
  await wal.close();
  const path = `${DIRECTORY}/${segmentName(0, 0)}`;
  const written = env.disk.contentOf(path);
  expect(written).toHaveLength(4096);
  expect(Buffer.from(written.subarray(0, example.length)).toString('hex')).toBe(
    Buffer.from(example).toString('hex'),
  );
  const found = await readWal(env, DIRECTORY, { index: 0, term: 0 });
  expect(found.entries).toEqual([entry(1, 1, 'hello')]);
  expect(found.hardState).toEqual(state(1, 1, 10n));
});

test('sizes and padding of frames known from etcd', () => {
  const frames = new FrameBuffer(0);
  const known = [
    { type: RECORD_TYPES.CRC, data: '', size: 4, top: 0x84 },
    { type: RECORD_TYPES.METADATA, data: 'somedata', size: 18, top: 0x86 },
    { type: RECORD_TYPES.SNAPSHOT, data: '\x08\0\x10\0', size: 14, top: 0x82 },
  ];
  for (const { type, data, size, top } of known) {
    const at = frames.length;
    frames.record(type, bytesFromLatin1(data));
    expect(frames.bytes[at]).toBe(size);
    expect(frames.bytes[at + 7]).toBe(top);
    expect((frames.length - at) % 8).toBe(0);
  }
});

test('names of segments', () => {
  expect(segmentName(3, 1234)).toBe('0000000000000003-00000000000004d2.wal');
  expect(parseSegmentName('0000000000000003-00000000000004d2.wal')).toEqual({
    name: '0000000000000003-00000000000004d2.wal',
    sequence: 3,
    firstIndex: 1234,
  });
  expect(hex16(2 ** 53 - 1)).toBe('001fffffffffffff');
  for (const name of ['0.tmp', '3-4d2.wal', `${segmentName(1, 1)}.broken`, 'X'.repeat(33)]) {
    expect(parseSegmentName(name)).toBeUndefined();
  }
  expect(() => parseSegmentName(`${'f'.repeat(16)}-${'0'.repeat(16)}.wal`)).toThrow(/too large/);
});
