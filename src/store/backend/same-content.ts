// Compares the content of two databases: for tests and under TETCD_VERIFY=all.

import { equalBytes, fail, invariant, Slices } from '../../base/index.ts';
import type { Bucket, Cursor, ReadTransaction } from '../../bbolt/index.ts';
import type { Env } from '../../env/index.ts';
import { ROWS_PER_CLOCK_CHECK } from '../limits.ts';

/** Throws if buckets, keys or values differ. The store has no nested buckets. */
export async function assertSameContent(
  env: Env,
  one: ReadTransaction,
  other: ReadTransaction,
): Promise<void> {
  const slices = new Slices(env);
  const [names, otherNames] = [one.cursor(), other.cursor()];
  while (moveBoth(names, otherNames)) {
    const name = names.key();
    invariant(equalBytes(name, otherNames.key()), 'the same buckets are in both files');
    await assertSameBucket(slices, one.bucket(name)!, other.bucket(name)!);
  }
}

async function assertSameBucket(slices: Slices, one: Bucket, other: Bucket): Promise<void> {
  invariant(one.sequence() === other.sequence(), 'a bucket has the same sequence in both files');
  const [a, b] = [one.cursor(), other.cursor()];
  for (let count = 1; moveBoth(a, b); count++) {
    invariant(equalBytes(a.key(), b.key()), 'the same keys are in both files');
    invariant(equalBytes(a.value(), b.value()), 'a key has the same value in both files');
    if (count % ROWS_PER_CLOCK_CHECK === 0 && slices.isOver) await slices.next();
  }
}

/** Whether both are on an entry; they end together. */
function moveBoth(one: Cursor, other: Cursor): boolean {
  const [found, otherFound] = [one.next(), other.next()];
  if (found !== otherFound) fail('both files hold as many entries');
  return found;
}
