// What boot makes of a backend file while it is opened: leases, users and roles, compaction marks, the
// index. What is not known is never passed over.

import type { AuthState } from '../../auth/index.ts';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { Lessor } from '../../lease/index.ts';
import { checkRevisionKey, mainOfKey, REVISION_KEY_BYTES } from '../../mvcc/index.ts';
import { type BackendSnapshot, readAt } from '../backend/committed-view.ts';
import { type CompactionMarks, KvRestore } from '../kv/kv-store.ts';
import { restoreAuth } from './auth-store.ts';
import { restoreLessor } from './lease-store.ts';
import { BUCKET, BUCKET_NAMES, META_KEY } from './schema.ts';

/** Filled while the backend is opened; complete when that resolves. */
export class Restore {
  readonly rows = new KvRestore();
  readonly #minLeaseTtlSec: number;
  readonly #leaseCheckpoints: boolean;
  #lessor: Lessor | undefined;
  #auth: AuthState | undefined;
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

  get auth(): AuthState {
    if (this.#auth === undefined) throw new TypeError('the backend has not been inspected');
    return this.#auth;
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
    this.#auth = restoreAuth(snapshot);
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
