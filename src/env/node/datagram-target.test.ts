import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DgramSocket } from 'node-unix-socket';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createNodeTimers } from './clock.ts';
import { openDatagramTarget } from './datagram-target.ts';
import { LineOutputs, WAITING_BYTES_MAX } from './line-outputs.ts';
import type { LineTarget } from './line-target.ts';

const timers = createNodeTimers();
const encode = (line: string): Buffer => Buffer.from(line);

let directory: string;
let path: string;
let reader: DgramSocket | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tetcd-datagrams-'));
  path = join(directory, 'socket');
});
afterEach(() => {
  reader?.close();
  reader = undefined;
  rmSync(directory, { recursive: true });
});

/** Datagrams that come, as texts; nothing is read before the first turn. */
function listen(): string[] {
  const received: string[] = [];
  reader = new DgramSocket();
  reader.bind(path);
  reader.on('data', (bytes: Buffer) => void received.push(bytes.toString()));
  return received;
}

async function opened(): Promise<LineOutputs> {
  const target: LineTarget = await openDatagramTarget(path, encode);
  return new LineOutputs([target], (count) => `lost ${count}`);
}

test('each line is a datagram, in order, an urgent one at once', async () => {
  const received = listen();
  const outputs = await opened();
  outputs.write('one', false);
  outputs.write('two', false);
  outputs.write('three', true);
  await expect.poll(() => received).toEqual(['one', 'two', 'three']);
});

test('a socket that nobody reads holds lines back up to the bound; read again, it says what is missing', async () => {
  const received = listen();
  const outputs = await opened();
  const long = 'x'.repeat(4000);
  const written = 1000;
  for (let i = 0; i < written; i++) outputs.write(`${i} ${long}`, false);
  outputs.end();
  const lost = outputs.lostCount;
  expect(lost).toBeGreaterThan(written - WAITING_BYTES_MAX / 4000 - 100);
  await expect.poll(() => received.at(-1), { timeout: 10_000 }).toBe(`lost ${lost}`);
  expect(received).toHaveLength(written - lost + 1);
  expect(received.slice(0, -1).map((text) => Number.parseInt(text, 10))).toEqual(
    Array.from({ length: written - lost }, (_, i) => i),
  );
});

test('a line larger than a datagram is lost and counted, those after it come', async () => {
  const received = listen();
  const outputs = await opened();
  outputs.write('x'.repeat(500_000), false);
  outputs.write('after', false);
  await timers.nextTurn();
  await expect.poll(() => received).toEqual(['lost 1', 'after']);
});

test('a reader that goes away and comes again gets what waited meanwhile', async () => {
  listen();
  const outputs = await opened();
  reader?.close();
  rmSync(path, { force: true });
  outputs.write('one', true);
  const received = listen();
  await expect.poll(() => received, { timeout: 5000 }).toEqual(['one']);
});

test('nothing at the path is an error', async () => {
  await expect(openDatagramTarget(path, encode)).rejects.toMatchObject({ code: 'ENOENT' });
});
