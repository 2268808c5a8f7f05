import { expect, test } from 'vitest';
import { FAILPOINT_ERRORS, Failpoints } from './failpoints.ts';

function create() {
  const told: string[] = [];
  const points = new Failpoints({
    print: (line) => void told.push(line),
    panic: (text) => {
      throw new Error(text);
    },
    holdThread: (ms) => void told.push(`held ${ms}`),
    sleep: async (ms) => void told.push(`slept ${ms}`),
    random: () => 0.5,
  });
  const set = (name: string, text: string): void => {
    const prepared = points.prepare(name, text);
    if ('error' in prepared) throw new Error(prepared.error);
    prepared.set();
  };
  return { points, told, set };
}

test('nothing happens where nothing is set', () => {
  const { points, told } = create();
  expect(points.hit('raftBeforeSave')).toBe(undefined);
  expect(points.hold('walBeforeSync')).toBe(undefined);
  expect(points.failure('defragdbFail')).toBe(undefined);
  expect(told).toEqual([]);
});

test('a sleep holds the thread within a turn, and what awaits it elsewhere', async () => {
  const { points, told, set } = create();
  set('raftBeforeSave', 'sleep(5)');
  set('walBeforeSync', 'sleep("1s")');
  points.hit('raftBeforeSave');
  await points.hold('walBeforeSync');
  expect(told).toEqual(['held 5', 'slept 1000']);
  set('walBeforeSync', 'sleep');
  expect(points.hold('walBeforeSync')).toBe(undefined);
  expect(told.at(-1)).toBe('failpoint: ignoring sleep({}) on walBeforeSync');
});

test('texts are gofail’s', () => {
  const { points, told, set } = create();
  set('beforeCommit', 'panic');
  expect(() => points.hold('beforeCommit')).toThrow('failpoint panic: {}');
  set('beforeCommit', '1*panic->off');
  expect(() => points.hold('beforeCommit')).toThrow('failpoint panic: beforeCommit');
  expect(points.hold('beforeCommit')).toBe(undefined);
  set('beforeCommit', 'print');
  points.hold('beforeCommit');
  set('defragdbFail', 'return(1)');
  expect(points.failure('defragdbFail')).toBe(undefined);
  expect(told).toEqual([
    'failpoint print: beforeCommit',
    'failpoint: "defragdbFail" got value 1 of type "number" but expected type "string"',
  ]);
});

test('a failure has the text that is returned', () => {
  const { points, set } = create();
  set('lackOfDiskSpace', 'return("full")');
  expect(points.failure('lackOfDiskSpace')).toBe('full');
});

test('terms are set, replaced and taken away by name', () => {
  const { points, set } = create();
  expect(() => set('nothing', 'off')).toThrow(FAILPOINT_ERRORS.UNKNOWN);
  expect(() => set('beforeCommit', 'x')).toThrow(FAILPOINT_ERRORS.BAD_TERMS);
  set('beforeCommit', 'print');
  set('beforeCommit', 'off');
  expect(points.termsOf('beforeCommit')?.text).toBe('off');
  expect(points.disable('beforeCommit')).toBe(true);
  expect(points.disable('beforeCommit')).toBe(false);
  expect(points.termsOf('beforeCommit')).toBe(undefined);
});
