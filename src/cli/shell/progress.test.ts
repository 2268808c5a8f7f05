import { expect, test } from 'vitest';
import { MemoryIo } from './memory-io.fixture.ts';
import { Progress } from './progress.ts';

function redraw(io: MemoryIo, seconds: number): string {
  io.nowNs = seconds * 1e9;
  io.stderr.length = 0;
  for (const tick of io.ticks) tick();
  return io.errText.replace('\r\x1b[K', '');
}

function terminal(columns: number): MemoryIo {
  const io = new MemoryIo();
  io.terminalColumns = columns;
  io.nowNs = 0;
  return io;
}

test('nothing is printed where standard error is no terminal', () => {
  const io = new MemoryIo();
  const progress = new Progress(io, { label: 'Working', show: String, total: 10 });
  progress.done = 5;
  expect(io.ticks.size).toBe(0);
  progress.end();
  expect(io.errText).toBe('');
});

test('with a total there is a bar; without one, count, rate and time', () => {
  const io = terminal(80);
  const progress = new Progress(io, { label: 'Working', show: String });
  progress.done = 5;
  expect(redraw(io, 2)).toBe('Working 5 3/s 2s');
  progress.total = 20;
  expect(redraw(io, 2)).toBe(`Working [${'='.repeat(7)}${' '.repeat(23)}] 25% 5/20 3/s 2s`);
  progress.done = 30;
  expect(redraw(io, 3)).toContain(`[${'='.repeat(30)}] 100% `);
});

test('where nothing can be counted there is the time', () => {
  const io = terminal(80);
  new Progress(io, { label: 'Working' }).done = 5;
  expect(redraw(io, 7.9)).toBe('Working 7s');
});

test('it fits into one line, and leaves an empty one', () => {
  const io = terminal(12);
  const progress = new Progress(io, { label: 'A long label', show: String });
  expect(redraw(io, 0)).toBe('A long labe');
  progress.end();
  progress.end();
  expect(io.ticks.size).toBe(0);
  expect(io.errText.endsWith('\r\x1b[K')).toBe(true);
});
