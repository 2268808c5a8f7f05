// The membership's rows in the backend: which bucket is which, reading all, writing changes.

import type { MembershipBucket, Row, RowChange } from '../../membership/index.ts';
import type { Backend } from '../backend/backend.ts';
import { BUCKET, type BucketId } from './schema.ts';

const BUCKET_OF: Readonly<Record<MembershipBucket, BucketId>> = {
  members: BUCKET.MEMBERS,
  members_removed: BUCKET.MEMBERS_REMOVED,
  cluster: BUCKET.CLUSTER,
};

/** Every row of the three buckets. */
export function readMembershipRows(backend: Pick<Backend, 'entries' | 'placeOf'>): Row[] {
  const rows: Row[] = [];
  for (const bucket of Object.keys(BUCKET_OF) as MembershipBucket[]) {
    const id = BUCKET_OF[bucket];
    for (const [key, value] of backend.entries(id)) {
      rows.push({ bucket, key, value, place: backend.placeOf(id, key) });
    }
  }
  return rows;
}

export function writeMembershipRows(
  backend: Pick<Backend, 'set'>,
  changes: readonly RowChange[],
): void {
  for (const { bucket, key, value } of changes) backend.set(BUCKET_OF[bucket], key, value);
}
