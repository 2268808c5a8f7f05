// The checksum of the keys in a database file, comparable with what members answer to HashKV.

import { ERROR_CODES, type Revision, Slices, TetcdError } from '../base/index.ts';
import { hashKv, type KvHash, Restore, visitorsOf } from '../store/index.ts';
import { type LockOptions, readingDatabase } from './database-file.ts';
import type { OfflineEnv } from './types.ts';

/** The newest revision of a store without any write. */
const FIRST_REVISION: Revision = 1;

interface HashKvOptions extends LockOptions {
  /** Up to this revision; 0 or nothing is the newest one, a negative one has the checksum of no rows. */
  readonly revision?: Revision;
}

/**
 * INVALID_ARGUMENT, in etcd's words, for a revision that was compacted or is not there yet; UNSUPPORTED
 * for a file that this release could not serve; other errors as of {@link readingDatabase}.
 */
export function hashOfDatabase(
  env: OfflineEnv,
  path: string,
  options: HashKvOptions = {},
): Promise<KvHash> {
  const restore = new Restore(1);
  const visit = visitorsOf({
    path,
    received: undefined,
    inspect: (snapshot) => restore.inspect(snapshot),
    rows: restore.rows,
  });
  return readingDatabase(env, path, { ...options, visit }, async (database) => {
    await restore.rows.finish(new Slices(env));
    const { index, newestRev } = restore.rows;
    const { finishedRev, scheduledRev } = restore.marks;
    const compactRevision = Math.max(finishedRev, scheduledRev);
    const currentRev = Math.max(FIRST_REVISION, newestRev, compactRevision);
    const wanted = options.revision ?? 0;
    const hashRevision = wanted === 0 ? currentRev : wanted;
    checkRevision(hashRevision, { currentRev, compactRevision });
    const keepsNothing = hashRevision >= 0 && index.keepsNothing(hashRevision);
    if (keepsNothing && scheduledRev > finishedRev) {
      const text = `${path}: the compaction at revision ${scheduledRev} has not removed its rows yet`;
      throw new TetcdError(ERROR_CODES.UNSUPPORTED, `${text}; a member that starts on it does`);
    }
    const tree = database.beginRead();
    try {
      const compactedRev = compactRevision;
      const revision = hashRevision;
      const hash = await hashKv({ tree, index, revision, compactedRev, keepsNothing });
      return { hash, compactRevision, hashRevision };
    } finally {
      tree.close();
    }
  });
}

interface Range {
  readonly currentRev: Revision;
  readonly compactRevision: Revision;
}

function checkRevision(revision: Revision, { currentRev, compactRevision }: Range): void {
  if (revision > currentRev) {
    const text = 'mvcc: required revision is a future revision';
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
  }
  if (revision < 0 || revision >= compactRevision) return;
  const text = 'mvcc: required revision has been compacted';
  throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
}
