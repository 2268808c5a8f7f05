import { expect, test } from 'vitest';
import { pprof } from '../../protocol/index.ts';
import { buildCpuProfile } from './cpu-profile.ts';
import { frameOf } from './inspector.ts';
import { type Frame, ProfileBuilder } from './profile-builder.ts';

const KINDS = [
  { type: 'samples', unit: 'count' },
  { type: 'cpu', unit: 'nanoseconds' },
];
const TAKEN = { wallMs: 1_700_000_000_000.5, durationMs: 1500, comments: ['said'] };

const frame = (name: string, file = '/a.js', line = 3): Frame => ({
  ...{ name: `${name} (a.js:1)`, plainName: name, file, startLine: 1, line },
});

/** Every stack as `name:line` from the innermost, with its values. */
function stacksOf(bytes: Uint8Array): [string, number[]][] {
  const profile = pprof.ProfileCodec.decode(bytes);
  const { stringTable } = profile;
  const functions = new Map(profile.function.map((one) => [one.id, one]));
  const locations = new Map(profile.location.map((one) => [one.id, one]));
  return profile.sample.map(({ locationId, value }) => {
    const frames = locationId.map((id) => {
      const { functionId, line } = locations.get(id)!.line[0]!;
      return `${stringTable[functions.get(functionId)!.name]}:${line}`;
    });
    return [frames.join(' < '), value];
  });
}

test('equal stacks are one sample, and what cancels out is none', () => {
  const builder = new ProfileBuilder({ kinds: KINDS, program: 'p' });
  builder.add([frame('inner'), frame('outer')], [1, 10]);
  builder.add([frame('inner'), frame('outer')], [2, 20]);
  builder.add([frame('inner', '/a.js', 4), frame('outer')], [1, 50]);
  builder.add([frame('gone')], [1, 1]);
  builder.add([frame('gone')], [-1, -1]);
  expect(builder.total).toBe(80);
  expect(stacksOf(builder.encode(TAKEN))).toEqual([
    ['inner (a.js:1):4 < outer (a.js:1):3', [1, 50]],
    ['inner (a.js:1):3 < outer (a.js:1):3', [3, 30]],
  ]);
  expect(builder.text('cpu')).toBe(
    'cpu profile: total 80\n50 @\n#\tinner\t/a.js:4\n#\touter\t/a.js:3\n\n' +
      '30 @\n#\tinner\t/a.js:3\n#\touter\t/a.js:3\n\n',
  );
});

test('a profile says what it is of, and each thing once', () => {
  const period = { type: 'cpu', unit: 'nanoseconds', value: 7 };
  const builder = new ProfileBuilder({ kinds: KINDS, period, program: 'node' });
  for (let i = 0; i < 5; i++) builder.add([frame(`f${i}`), frame('main')], [1, 1]);
  const profile = pprof.ProfileCodec.decode(builder.encode(TAKEN));
  const text = (index: number): string => profile.stringTable[index]!;
  expect(profile.stringTable[0]).toBe('');
  expect(new Set(profile.stringTable).size).toBe(profile.stringTable.length);
  expect(profile.function).toHaveLength(6);
  expect(profile.location).toHaveLength(6);
  expect(profile.timeNanos).toBe(1_700_000_000_000_500_000n);
  expect(profile.durationNanos).toBe(1_500_000_000);
  expect(profile.period).toBe(7);
  expect(text(profile.periodType!.type)).toBe('cpu');
  expect(text(profile.defaultSampleType)).toBe('cpu');
  expect(profile.comment.map(text)).toEqual(['said']);
  expect(profile.sampleType.map(({ type, unit }) => [text(type), text(unit)])).toEqual(
    KINDS.map(({ type, unit }) => [type, unit]),
  );
});

test('time is that of the function that ran, on its lines; idle time is left out', () => {
  const callFrame = (functionName: string, url = 'file:///dist/b%20c.js') => ({
    ...{ functionName, url, lineNumber: 9 },
  });
  const builder = buildCpuProfile(
    {
      nodes: [
        { id: 1, callFrame: callFrame('(root)', ''), children: [2, 3, 5] },
        { id: 2, callFrame: callFrame('(idle)', '') },
        { id: 3, callFrame: callFrame(''), children: [4] },
        {
          id: 4,
          callFrame: callFrame('work'),
          positionTicks: [
            { line: 12, ticks: 1 },
            { line: 14, ticks: 1 },
          ],
        },
        { id: 5, callFrame: callFrame('(garbage collector)', '') },
      ],
      samples: [2, 4, 4, 5, 2],
      timeDeltas: [100, 10_000, 9_000, 11_000, 4_000],
    },
    'node',
  );
  expect(stacksOf(builder.encode(TAKEN))).toEqual([
    ['work (b c.js:10):12 < (anonymous) (b c.js:10):10', [1, 10_000_000]],
    ['work (b c.js:10):14 < (anonymous) (b c.js:10):10', [1, 10_000_000]],
    ['(garbage collector):10', [1, 4_000_000]],
  ]);
});

test.each([
  ['node:internal/net', 'f (node:internal/net:1)'],
  ['/a/b/run-member.js', 'f (run-member.js:1)'],
  ['', 'f'],
])('a function of %j is shown as %s', (url, name) => {
  expect(frameOf({ functionName: 'f', url, lineNumber: 0 }).name).toBe(name);
});
