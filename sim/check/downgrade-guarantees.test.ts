// What the checker of downgrades finds in records that are written by hand.

import { expect, test } from 'vitest';
import { checkDowngrades, type DowngradeCall } from './downgrade-guarantees.ts';
import type { Moment } from './history.ts';
import { VersionStates } from './version-states.ts';

const at = (order: number): Moment => ({ order, atMs: order * 1000 });

/** After 3.7.0 from the first second on: at which second which version and target. */
function statesOf(...changes: readonly (readonly [second: number, version: string, to: string])[]) {
  const versions = new VersionStates();
  for (const [second, version, target] of [[1, '3.7.0', ''] as const, ...changes]) {
    versions.states.push({ at: at(second), index: second, version, target });
  }
  return versions;
}

function call(
  action: DowngradeCall['action'],
  [called, returned]: readonly [number, number],
  outcome: DowngradeCall['outcome'] = 'ok',
): DowngradeCall {
  const target = action === 'cancel' ? '' : '3.6.0';
  return { action, target, called: at(called), returned: at(returned), outcome };
}

const ENABLE = call('enable', [2, 4]);
const CANCEL = call('cancel', [8, 10]);
const DOWN = [[3, '3.7.0', '3.6.0'] as const, [6, '3.6.0', '3.6.0'] as const];

function rulesOf(
  versions: VersionStates,
  calls: readonly DowngradeCall[],
  completed: Moment[] = [],
) {
  return checkDowngrades(versions, { calls, completed }).map(({ rule }) => rule);
}

test.each<[string, VersionStates, DowngradeCall[]]>([
  ['nothing', statesOf(), []],
  ['down and up', statesOf(...DOWN, [9, '3.6.0', ''], [12, '3.7.0', '']), [ENABLE, CANCEL]],
  [
    'answers lost',
    statesOf(...DOWN, [9, '3.6.0', '']),
    [call('enable', [2, 3], 'unknown'), call('cancel', [4, 5], 'unknown')],
  ],
  [
    'a fall that was decided before the cancellation',
    statesOf(DOWN[0]!, [9, '3.7.0', ''], [12, '3.6.0', '']),
    [ENABLE, CANCEL],
  ],
  [
    'refusals',
    statesOf(...DOWN),
    [
      ENABLE,
      call('enable', [4, 5], { refused: 'DOWNGRADE_IN_PROCESS' }),
      call('validate', [7, 8], { refused: 'INVALID_DOWNGRADE_TARGET_VERSION' }),
    ],
  ],
])('nothing is wrong with: %s', (_what, versions, calls) => {
  expect(rulesOf(versions, calls)).toEqual([]);
});

test('a downgrade that is complete ends by itself', () => {
  const versions = statesOf(...DOWN, [9, '3.6.0', '']);
  expect(rulesOf(versions, [ENABLE], [at(8)])).toEqual([]);
  expect(rulesOf(versions, [ENABLE])).toEqual(['downgrades are asked for']);
});

test.each<[string, VersionStates, DowngradeCall[]]>([
  ['nobody asked', statesOf([6, '3.6.0', '']), []],
  ['below the target', statesOf(DOWN[0]!, [6, '3.5.0', '3.6.0']), [ENABLE]],
  ['long after its end', statesOf(DOWN[0]!, [9, '3.7.0', ''], [30, '3.6.0', '']), [ENABLE, CANCEL]],
])('the version falls: %s', (_what, versions, calls) => {
  expect(rulesOf(versions, calls)).toEqual(['no unasked downgrade']);
});

test.each<[string, VersionStates, DowngradeCall]>([
  ['ENABLE that is not in the log', statesOf(), ENABLE],
  ['CANCEL that is not in the log', statesOf(...DOWN), CANCEL],
  ['VALIDATE while it goes down', statesOf(...DOWN), call('validate', [4, 5])],
  [
    'a refusal without a reason',
    statesOf(),
    call('validate', [4, 5], { refused: 'DOWNGRADE_IN_PROCESS' }),
  ],
])('an answer is not as it was: %s', (_what, versions, answered) => {
  const asked = versions.newest.target === '' ? [] : [ENABLE];
  expect(rulesOf(versions, [...asked, answered])).toEqual(['downgrades are answered as they are']);
});
