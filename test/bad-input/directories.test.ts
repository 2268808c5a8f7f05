// Damaged and foreign data directories: what can be mended is, what cannot is refused by name and
// left exactly as it was.

import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  cpSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Member, serverUnderTest, temporaryDirectory } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { type Contents, fill, observe } from '../takeover/contents.ts';

const ours = serverUnderTest();
const FLAGS = ['--snapshot-count=50'];

function files(directory: string, ending: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(directory, name));
}

const wal = (data: string): string => files(join(data, 'member', 'wal'), '.wal').at(-1)!;
const database = (data: string): string => join(data, 'member', 'snap', 'db');
const newestSnap = (data: string): string => files(join(data, 'member', 'snap'), '.snap').at(-1)!;

/** Where the records of a preallocated segment end: after the last byte that is not zero. */
function endOfRecords(path: string): number {
  const bytes = readFileSync(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

function overwrite(path: string, position: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, position);
  closeSync(file);
}

function flip(path: string, position: number): void {
  const byte = Buffer.alloc(1);
  const file = openSync(path, 'r');
  readSync(file, byte, 0, 1, position);
  closeSync(file);
  overwrite(path, position, Buffer.from([byte[0]! ^ 0x55]));
}

/** Path and content hash of everything in a directory. */
function fingerprint(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
    .sort()
    .map((path) => `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`);
}

interface Damage {
  readonly name: string;
  readonly apply: (data: string) => void;
  /** Of the refusal; without it the member must start, with everything in it. */
  readonly refused?: RegExp;
}

const PAGE = 4096;

const DAMAGES: readonly Damage[] = [
  {
    name: 'a flipped byte in the middle of the log',
    apply: (data) => flip(wal(data), Math.floor(endOfRecords(wal(data)) * 0.6)),
    refused: /\.wal.*(?:offset|at) \d+|(?:offset|at) \d+.*\.wal/,
  },
  {
    name: 'a last record of which only the first bytes were written',
    apply: (data) => {
      const record = Buffer.alloc(108, 0xaa);
      record.writeBigUInt64LE(4_000n, 0);
      overwrite(wal(data), Math.ceil(endOfRecords(wal(data)) / 8) * 8, record);
    },
  },
  {
    name: 'a log that is missing',
    apply: (data) => rmSync(join(data, 'member', 'wal'), { recursive: true }),
    refused: /wal/i,
  },
  {
    name: 'an older meta page in ruins',
    apply: (data) => overwrite(database(data), olderMeta(data) * PAGE + 16, Buffer.alloc(64, 0xff)),
  },
  {
    name: 'both meta pages in ruins',
    apply: (data) => overwrite(database(data), 0, Buffer.alloc(2 * PAGE, 0xff)),
    refused: /snap\/db/,
  },
  {
    name: 'a database that is another kind of file',
    apply: (data) => writeFileSync(database(data), 'this is a text file\n'.repeat(1000)),
    refused: /snap\/db/,
  },
  {
    name: 'a database cut short',
    apply: (data) => truncateSync(database(data), 3 * PAGE),
    refused: /snap\/db/,
  },
  {
    name: 'a database that is missing',
    apply: (data) => renameSync(database(data), `${database(data)}.elsewhere`),
    refused: /snap\/db|database/i,
  },
  {
    name: 'a foreign file beside the segments of the log',
    apply: (data) => writeFileSync(join(data, 'member', 'wal', 'notes.txt'), 'hello'),
  },
];

/** The meta page with the lower transaction id (at offset 16 + 48). */
function olderMeta(data: string): number {
  const bytes = readFileSync(database(data)).subarray(0, 2 * PAGE);
  const id = (page: number): bigint => bytes.readBigUInt64LE(page * PAGE + 16 + 48);
  return id(0) < id(1) ? 0 : 1;
}

describeWith('a damaged data directory', [ours], () => {
  const root = temporaryDirectory();
  const original = join(root, 'original');
  let contents: Contents;

  beforeAll(async () => {
    const member = await Member.start(need(ours), { directory: original, flags: FLAGS });
    await fill(member.endpoint, 0);
    contents = await observe(member.endpoint);
    await member.stop();
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  async function startOn(directory: string): Promise<Member> {
    return Member.start(need(ours), { directory, flags: FLAGS });
  }

  for (const [index, { name, apply, refused }] of DAMAGES.entries()) {
    test(`${name} is ${refused === undefined ? 'mended' : 'refused'}`, async () => {
      const directory = join(root, `damage-${index}`);
      cpSync(original, directory, { recursive: true, mode: constants.COPYFILE_FICLONE });
      apply(directory);
      if (refused === undefined) {
        const member = await startOn(directory);
        expect(await observe(member.endpoint)).toEqual(contents);
        await member.dispose();
        return;
      }
      const before = fingerprint(directory);
      const text = await startOn(directory).then(
        async (member) => {
          await member.dispose();
          return 'it started';
        },
        (error: Error) => error.message,
      );
      expect(text.split('\n')[0]).toMatch(/ended with [1-9]/);
      expect(text.split('\n').slice(-2).join('\n')).toMatch(refused);
      expect(fingerprint(directory)).toEqual(before);
    });
  }

  test('a broken newest snapshot file is set aside', async () => {
    const directory = join(root, 'snapshot');
    cpSync(original, directory, { recursive: true, mode: constants.COPYFILE_FICLONE });
    const path = newestSnap(directory);
    flip(path, Math.floor(statSync(path).size / 2));
    const member = await startOn(directory);
    expect(await observe(member.endpoint)).toEqual(contents);
    await member.dispose();
    expect(files(join(directory, 'member', 'snap'), '.broken')).toHaveLength(1);
  });
});
