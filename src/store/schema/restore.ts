// What boot makes of a backend file while it is opened: leases, compaction marks, the index. And what
// it refuses: a secured store is never served openly, and what we do not know is never passed over.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { Lessor } from '../../lease/index.ts';
import { checkRevisionKey, mainOfKey, REVISION_KEY_BYTES } from '../../mvcc/index.ts';
import { type BackendSnapshot, readAt } from '../backend/committed-view.ts';
import { type CompactionMarks, KvRestore } from '../kv/kv-store.ts';
import { restoreLessor } from './lease-store.ts';
import { BUCKET, BUCKET_NAMES, META_KEY } from './schema.ts';

/** Fills while the backend is opened; complete when that has resolved. */
export class Restore {
  readonly rows = new KvRestore();
  readonly #minLeaseTtlSec: number;
  readonly #leaseCheckpoints: boolean;
  #lessor: Lessor | undefined;
  marks: CompactionMarks = { scheduledRev: -1, finishedRev: -1 };

  /** `leaseCheckpoints`: whether this member, as leader, is to have long leases checkpointed. */
  constructor(minLeaseTtlSec: number, leaseCheckpoints = false) {
    this.#minLeaseTtlSec = minLeaseTtlSec;
    this.#leaseCheckpoints = leaseCheckpoints;
  }

  get lessor(): Lessor {
    if (this.#lessor === undefined) throw new TypeError('the backend has not been inspected');
    return this.#lessor;
  }

  /** Called before the first row. UNSUPPORTED for what this release cannot serve. */
  inspect(snapshot: BackendSnapshot): void {
    for (const name of snapshot.bucketNames()) {
      if (BUCKET_NAMES.includes(name)) continue;
      throw new TetcdError(
        ERROR_CODES.UNSUPPORTED,
        `the database has a bucket "${name}" of unknown meaning`,
      );
    }
    const enabled = snapshot.get(BUCKET.AUTH, 'authEnabled');
    if (enabled !== undefined && enabled[0] !== 0) {
      throw new TetcdError(
        ERROR_CODES.UNSUPPORTED,
        'authentication is enabled in the database, and this release cannot check it; ' +
          'it does not serve a secured store openly',
      );
    }
    this.marks = {
      scheduledRev: revisionAt(snapshot, META_KEY.SCHEDULED_COMPACT),
      finishedRev: revisionAt(snapshot, META_KEY.FINISHED_COMPACT),
    };
    this.#lessor = restoreLessor(snapshot, this.#minLeaseTtlSec, this.#leaseCheckpoints);
    this.rows.begin(this.#lessor, this.marks);
  }
}

function revisionAt(snapshot: BackendSnapshot, key: string): number {
  const bytes = snapshot.get(BUCKET.META, key);
  if (bytes === undefined) return -1;
  return readAt(snapshot, BUCKET.META, key, () => {
    checkRevisionKey(bytes, 0, Math.min(bytes.length, REVISION_KEY_BYTES));
    return mainOfKey(bytes);
  });
}
