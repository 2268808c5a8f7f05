// The search, on a register: hand-made histories, and random ones beside a twin that tries every order.
//
// LINEARIZABILITY_SEED chooses the random ones.

import { describe, expect, test } from 'vitest';
import { type Random, seededRandom } from '../../src/base/index.ts';
import { checkLinearizable, type Model, type Timed } from './linearizability.ts';

const SEED = Number(process.env['LINEARIZABILITY_SEED'] ?? 1);

/** A register: `write` sets it, `read` finds it, `add` (its result unknown) changes it by one. */
type RegisterOp =
  | { readonly kind: 'read' | 'write'; readonly value: number }
  | { readonly kind: 'add' };

const register: Model<number, RegisterOp> = {
  initial: 0,
  step: (state, operation) => {
    if (operation.kind === 'add') return (state + 1) % 4;
    if (operation.kind === 'write') return operation.value;
    return operation.value === state ? state : undefined;
  },
  isRead: (operation) => operation.kind === 'read',
  equal: (a, b) => a === b,
  hash: (state) => state,
};

const read = (value: number): RegisterOp => ({ kind: 'read', value });
const write = (value: number): RegisterOp => ({ kind: 'write', value });
const span = (call: number, end: number, operation: RegisterOp): Timed<RegisterOp> => ({
  ...{ operation, call, return: end },
});
const maybe = (call: number, operation: RegisterOp): Timed<RegisterOp> => ({
  ...{ operation, call, return: 0, optional: true },
});

const verdict = (operations: readonly Timed<RegisterOp>[], stepsMax?: number) =>
  checkLinearizable(register, operations, stepsMax === undefined ? {} : { stepsMax }).kind;

describe('a register', () => {
  test.each<[string, Timed<RegisterOp>[]]>([
    ['nothing', []],
    ['one after the other', [span(1, 2, write(1)), span(3, 4, read(1))]],
    ['a read beside the write sees the old value', [span(1, 4, write(1)), span(2, 3, read(0))]],
    ['or the new one', [span(1, 4, write(1)), span(2, 3, read(1))]],
    [
      'two writes in the order of the reads',
      [span(1, 6, write(1)), span(2, 5, write(2)), span(3, 4, read(2)), span(7, 8, read(1))],
    ],
    ['a lost write that happened', [maybe(1, write(1)), span(3, 4, read(1))]],
    ['a lost write that did not', [maybe(1, write(1)), span(3, 4, read(0))]],
    [
      'a lost write that happened late',
      [maybe(1, write(1)), span(2, 3, read(0)), span(4, 5, write(2)), span(6, 7, read(1))],
    ],
  ])('%s', (_, operations) => {
    expect(verdict(operations)).toBe('ok');
  });

  test.each<[string, Timed<RegisterOp>[]]>([
    ['a stale read', [span(1, 2, write(1)), span(3, 4, read(0))]],
    ['a value from nowhere', [span(1, 2, write(1)), span(3, 4, read(2))]],
    ['old after new', [span(1, 6, write(1)), span(2, 3, read(1)), span(4, 5, read(0))]],
    ['a lost write seen before it was called', [span(1, 2, read(1)), maybe(3, write(1))]],
    [
      'a lost write that happened twice',
      [
        maybe(1, write(1)),
        span(2, 3, read(1)),
        span(4, 5, write(2)),
        span(6, 7, read(2)),
        span(8, 9, read(1)),
      ],
    ],
  ])('not: %s', (_, operations) => {
    expect(verdict(operations)).toBe('illegal');
  });

  test('says how far it came', () => {
    const stale = span(3, 4, read(0));
    const result = checkLinearizable(register, [span(1, 2, write(1)), stale]);
    expect(result).toMatchObject({ state: 1, order: [write(1)], blocked: [stale.operation] });
  });

  test('gives up when it is told to', () => {
    expect(verdict([span(1, 2, write(1)), span(3, 4, read(1))], 0)).toBe('unknown');
  });
});

/** Tries everything. */
function twin(operations: readonly Timed<RegisterOp>[], state = 0): boolean {
  const required = operations.filter((each) => each.optional !== true);
  if (required.length === 0) return true;
  const firstReturn = Math.min(...required.map((each) => each.return));
  return operations.some((each) => {
    if (each.call > firstReturn) return false;
    const next = register.step(state, each.operation);
    return (
      next !== undefined &&
      twin(
        operations.filter((one) => one !== each),
        next,
      )
    );
  });
}

function randomHistory(random: Random): Timed<RegisterOp>[] {
  const moments = Array.from({ length: 14 }, (_, i) => i + 1);
  for (let i = moments.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [moments[i], moments[j]] = [moments[j]!, moments[i]!];
  }
  return Array.from({ length: 7 }, (_, i) => {
    const [a, b] = [moments[2 * i]!, moments[2 * i + 1]!];
    const kind = random.below(6);
    const value = random.below(3);
    if (kind === 0) return maybe(a, { kind: 'add' });
    if (kind === 1) return maybe(a, write(value));
    return span(Math.min(a, b), Math.max(a, b), kind < 4 ? read(value) : write(value));
  });
}

test(`agrees with trying every order, seed ${SEED}`, () => {
  const random = seededRandom(SEED);
  const counts = { ok: 0, illegal: 0 };
  for (let round = 0; round < 2000; round++) {
    const history = randomHistory(random);
    const expected = twin(history) ? 'ok' : 'illegal';
    counts[expected]++;
    expect(verdict(history), JSON.stringify(history)).toBe(expected);
  }
  expect(counts.ok).toBeGreaterThan(200);
  expect(counts.illegal).toBeGreaterThan(200);
});
