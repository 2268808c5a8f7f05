import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type AckedIndexes,
  describeJoint,
  idSet,
  jointCommittedIndex,
  jointVoteResult,
  majorityCommittedIndex,
  symmetricDifferenceCount,
  withId,
  withoutId,
} from './index.ts';
import { naiveCommittedIndex, naiveVoteResult } from './naive.fixture.ts';

const ids = fc.uniqueArray(fc.bigInt(1n, 12n), { maxLength: 9 }).map(idSet);
const indexes = fc.dictionary(fc.integer({ min: 1, max: 12 }).map(String), fc.nat(20));
const acked = indexes.map((byId): AckedIndexes => ({ ackedIndex: (id) => byId[String(id)] }));

test('the committed index of a majority equals its definition', () => {
  fc.assert(
    fc.property(ids, acked, (voters, acks) => {
      expect(majorityCommittedIndex(voters, acks)).toBe(naiveCommittedIndex(voters, acks));
    }),
    { numRuns: 20_000 },
  );
});

test('a joint quorum commits what both halves commit', () => {
  fc.assert(
    fc.property(ids, ids, acked, (incoming, outgoing, acks) => {
      const expected = Math.min(
        naiveCommittedIndex(incoming, acks),
        naiveCommittedIndex(outgoing, acks),
      );
      expect(jointCommittedIndex({ incoming, outgoing }, acks)).toBe(expected);
    }),
    { numRuns: 5_000 },
  );
});

test('votes are won, lost or pending by definition', () => {
  const votes = fc
    .array(fc.tuple(fc.bigInt(1n, 12n), fc.boolean()), { maxLength: 12 })
    .map((pairs) => new Map(pairs));
  fc.assert(
    fc.property(ids, ids, votes, (incoming, outgoing, cast) => {
      const voters = { incoming, outgoing };
      expect(jointVoteResult(voters, cast)).toBe(naiveVoteResult(voters, cast));
    }),
    { numRuns: 5_000 },
  );
});

test('sets of ids are sorted, without duplicates, and change by copy', () => {
  const set = idSet([3n, 1n, 3n, 0xffff_ffff_ffff_fff0n]);
  expect(set).toEqual([1n, 3n, 0xffff_ffff_ffff_fff0n]);
  expect(withId(set, 2n)).toEqual([1n, 2n, 3n, 0xffff_ffff_ffff_fff0n]);
  expect(withId(set, 3n)).toBe(set);
  expect(withoutId(set, 2n)).toBe(set);
  expect(withoutId(set, 3n)).toEqual([1n, 0xffff_ffff_ffff_fff0n]);
  expect(symmetricDifferenceCount(set, [3n, 4n])).toBe(3);
});

test('configurations print their ids in hexadecimal', () => {
  expect(describeJoint({ incoming: [1n, 10n], outgoing: [] })).toBe('(1 a)');
  expect(describeJoint({ incoming: [1n, 10n], outgoing: [255n] })).toBe('(1 a)&&(ff)');
});
