import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createNodeTimers } from './clock.ts';
import { END_WAIT_MS, LineOutputs, URGENT_BYTES_MAX, WAITING_BYTES_MAX } from './line-outputs.ts';

const timers = createNodeTimers();
const lossLine = (count: number) => `lost ${count}\n`;
/** Of Linux, for a pipe; other systems have no more. */
const PIPE_BYTES = 65_536;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tetcd-lines-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe.runIf(process.platform === 'linux')('an output that takes nothing', () => {
  /** A named pipe with its reading end, which nobody reads. */
  function unreadPipe(): { path: string; reader: number } {
    const path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
    return { path, reader: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) };
  }

  const numbered = (number: number) => `line ${String(number).padStart(90, '0')}\n`;

  test('keeps what fits, loses the rest, says how much, and goes on when it is read', async () => {
    const { path, reader } = unreadPipe();
    const outputs = new LineOutputs([path], lossLine);
    const began = performance.now();
    const written = 30_000;
    for (let i = 0; i < written; i++) outputs.write(numbered(i), false);
    await timers.nextTurn();
    outputs.write('urgent\n', true);
    const lost = outputs.lostCount;
    // No more is held back than the bound: the rest is in the pipe or lost.
    const keptBytes = (written - lost) * numbered(0).length;
    expect(keptBytes).toBeGreaterThan(WAITING_BYTES_MAX);
    expect(keptBytes).toBeLessThanOrEqual(WAITING_BYTES_MAX + PIPE_BYTES);
    expect(performance.now() - began).toBeLessThan(5000);

    const stream = new Socket({ fd: reader, readable: true, writable: false });
    stream.setEncoding('utf8');
    let text = '';
    for await (const piece of stream) {
      text += piece;
      if (text.endsWith('urgent\n')) break;
    }
    const lines = text.split('\n').slice(0, -1);
    const kept = Array.from({ length: written - lost }, (_, i) => numbered(i).trimEnd());
    expect(lines.slice(0, kept.length)).toEqual(kept);
    expect(lines.slice(kept.length)).toEqual([`lost ${lost}`, 'urgent']);

    const again = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    outputs.write('after\n', true);
    expect(readNow(again)).toBe('after\n');
    closeSync(again);
  });

  function readNow(descriptor: number): string {
    const buffer = Buffer.alloc(PIPE_BYTES);
    return buffer.toString('utf8', 0, readSync(descriptor, buffer));
  }

  test('urgent lines have room of their own, with a bound', () => {
    const { path, reader } = unreadPipe();
    const outputs = new LineOutputs([path], lossLine);
    for (let i = 0; i < 30_000; i++) outputs.write(numbered(i), false);
    const lost = outputs.lostCount;
    for (let i = 0; i < URGENT_BYTES_MAX / 200; i++) outputs.write(numbered(i), true);
    expect(outputs.lostCount).toBe(lost);
    for (let i = 0; i < 30_000; i++) outputs.write(numbered(i), true);
    expect(outputs.lostCount).toBeGreaterThan(lost + 29_000);
    closeSync(reader);
  });

  test('holds up the end for a bounded time only', () => {
    const { path, reader } = unreadPipe();
    const outputs = new LineOutputs([path], lossLine);
    for (let i = 0; i < 2000; i++) outputs.write(numbered(i), false);
    const began = performance.now();
    outputs.end();
    const tookMs = performance.now() - began;
    expect(tookMs).toBeGreaterThanOrEqual(END_WAIT_MS);
    expect(tookMs).toBeLessThan(END_WAIT_MS + 2000);
    closeSync(reader);
  });

  test('a reader that has gone, a full disk: nothing throws, losses are counted, the end is prompt', async () => {
    const { path, reader } = unreadPipe();
    const outputs = new LineOutputs([path, '/dev/full'], lossLine);
    closeSync(reader);
    for (let i = 0; i < 30_000; i++) outputs.write(numbered(i), false);
    await timers.nextTurn();
    outputs.write('urgent\n', true);
    expect(outputs.lostCount).toBeGreaterThan(2 * 15_000);
    const began = performance.now();
    outputs.end();
    expect(performance.now() - began).toBeLessThan(END_WAIT_MS);
  });

  test('a named pipe that nobody reads yet does not hold up the start', () => {
    const path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
    const outputs = new LineOutputs([path], lossLine);
    outputs.write('early\n', true);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    expect(readNow(reader)).toBe('early\n');
    closeSync(reader);
  });
});
