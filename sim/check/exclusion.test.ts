import { expect, test } from 'vitest';
import { ChangeLog } from './change-log.ts';
import { checkExclusion, type Hold } from './exclusion.ts';
import type { Moment, Operation } from './history.ts';

const at = (ms: number): Moment => ({ order: ms, atMs: ms });

/** A lease of ten seconds, granted at 0. */
const grant: Operation = {
  client: 'c',
  request: { kind: 'grant', lease: '1', ttl: 10 },
  ...{ called: at(0), returned: at(1) },
  outcome: {
    ...{ kind: 'ok', revision: 1, member: '1', term: 1 },
    result: { kind: 'lease', ttl: 10 },
  },
};

function rulesOf(endedMs: number | undefined, gotMs: number): string[] {
  const ended = endedMs === undefined ? undefined : at(endedMs);
  const first: Hold = { name: 'a', lease: '1', key: 'a/1', revision: 0, returned: at(10), ended };
  const second: Hold = { ...first, lease: '2', key: 'a/2', returned: at(gotMs), ended: undefined };
  const history = { command: '', operations: [grant], watches: [] };
  const log = new ChangeLog([], 2, 1);
  const found = checkExclusion([first, second], history, log, { drift: 0.1 });
  return found.map(({ rule }) => rule);
}

test('a lock is held until it is given up, or its lease may have ended', () => {
  expect(rulesOf(undefined, 5_000)).toEqual(['mutual exclusion']);
  expect(rulesOf(6_000, 5_000)).toEqual(['mutual exclusion']);
  expect(rulesOf(4_000, 5_000)).toEqual([]);
  // With a clock that is a tenth too fast.
  expect(rulesOf(undefined, 8_999)).toEqual(['mutual exclusion']);
  expect(rulesOf(undefined, 9_001)).toEqual([]);
});
