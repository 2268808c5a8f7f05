import { expect, test } from 'vitest';
import { type FailpointTerm, FailpointTerms, NOTHING, sleepMsOf } from './failpoint-terms.ts';

function happenings(text: string, times: number, random = () => 0.5): (string | undefined)[] {
  const terms = FailpointTerms.parse(text);
  if (terms === undefined) throw new Error(`not understood: ${text}`);
  const told = (term: FailpointTerm | undefined) => term && `${term.action} ${term.value}`;
  return Array.from({ length: times }, () => told(terms.next(random)));
}

test.each([
  ['off', `off ${NOTHING}`],
  ['panic', `panic ${NOTHING}`],
  ['panic("why")', 'panic why'],
  ['print', `print ${NOTHING}`],
  ['return()', `return ${NOTHING}`],
  ['return("a text")', 'return a text'],
  ['return(-3)', 'return -3'],
  ['return(true)', 'return true'],
  ['sleep(100)', 'sleep 100'],
  ['sleep("1m")', 'sleep 1m'],
  ['50.0%return', `return ${NOTHING}`],
  // As gofail has it: without a value, and with another term behind it.
  ['panic->off', 'panic undefined'],
])('%s', (text, happens) => {
  expect(happenings(text, 1)).toEqual([happens]);
});

test.each([
  '',
  'x',
  'sleep(',
  'sleep(1',
  'return(x)',
  '50%return',
  '1return',
  'off->',
  'off-off',
  '1*',
  'off off',
])('%j is not understood', (text) => {
  const isTrailing = text === 'off->';
  expect(FailpointTerms.parse(text) === undefined).toBe(!isTrailing);
});

test('counts go down, and the next term follows', () => {
  expect(happenings('2*return(1)->1*off->return(2)', 5)).toEqual([
    'return 1',
    'return 1',
    `off undefined`,
    'return 2',
    'return 2',
  ]);
  expect(happenings('1*panic', 3)).toEqual([`panic ${NOTHING}`, undefined, undefined]);
});

test('a share is as likely as it says', () => {
  const numbers = [0.1, 0.3, 0.25, 0.9];
  let at = 0;
  const found = happenings('25.0%return(1)', 4, () => numbers[at++]!);
  expect(found).toEqual(['return 1', undefined, 'return 1', undefined]);
});

test('what happened is counted, what did not is not', () => {
  const terms = FailpointTerms.parse('2*print')!;
  for (let i = 0; i < 5; i++) terms.next(() => 0);
  expect(terms.count).toBe(2);
});

test.each([
  [100, 100],
  ['1m30s', 90_000],
  ['1.5s', 1500],
  ['250ms', 250],
  ['x', undefined],
  ['', undefined],
  [true, undefined],
  [undefined, undefined],
] as const)('a sleep of %j', (value, ms) => {
  expect(sleepMsOf(value)).toBe(ms);
});
