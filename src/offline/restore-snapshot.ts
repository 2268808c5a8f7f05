// `snapshot restore`: the directory of a member of a new cluster, of a snapshot of an old one.

import {
  CONSENSUS_END,
  ERROR_CODES,
  latin1FromBytes,
  type Revision,
  TetcdError,
} from '../base/index.ts';
import type { Database } from '../bbolt/index.ts';
import { mainOfKey, revisionKey } from '../mvcc/index.ts';
import { BUCKET, META_KEY } from '../store/index.ts';
import type { DatabaseEdit } from './database-edit.ts';
import { type LockOptions, readingDatabase } from './database-file.ts';
import { visitAsMember } from './member-database.ts';
import {
  founding,
  identityOf,
  type MadeMember,
  makeMember,
  mustBeFree,
  type NewMember,
} from './new-member.ts';
import { checkSnapshotFile } from './snapshot-file.ts';
import { checkStructure } from './structure.ts';
import type { OfflineEnv } from './types.ts';

export interface RestoreOptions extends LockOptions {
  /** Takes a file without a checksum behind it, as one that was copied from a data directory. */
  readonly skipHashCheck: boolean;
  /**
   * How much is added to the newest revision, all up to which is then marked as compacted; 0 for neither.
   * Clients that watch then learn that they have missed something.
   */
  readonly bumpRevision: bigint;
}

/** What was made. */
interface RestoredMember extends MadeMember {
  /** The newest revision. */
  readonly revision: Revision;
}

/**
 * Rejects, before anything is made, with INVALID_ARGUMENT, NOT_FOUND, CORRUPT or UNSUPPORTED for a file that
 * is no whole snapshot or that this release could not serve, and with ALREADY_EXISTS if there is something
 * in the places of the new member; later as {@link makeMember} does.
 */
export async function restoreSnapshot(
  env: OfflineEnv,
  path: string,
  target: NewMember,
  options: RestoreOptions,
): Promise<RestoredMember> {
  identityOf(target);
  await mustBeFree(env, target);
  await checkSnapshotFile(env, path, { skip: options.skipHashCheck });
  const { visit } = visitAsMember(path);
  return readingDatabase(env, path, { ...options, visit }, async (database) => {
    await checkStructure(database);
    return await makeOf(env, database, target, options);
  });
}

async function makeOf(
  env: OfflineEnv,
  database: Database,
  target: NewMember,
  { bumpRevision }: RestoreOptions,
): Promise<RestoredMember> {
  let revision: Revision = 0;
  const source = database.beginRead();
  try {
    const identity = identityOf(target);
    const change = (edit: DatabaseEdit): void => {
      const newest = edit.lastKey(BUCKET.KEY);
      revision = newest === undefined ? 0 : mainOfKey(newest);
      if (bumpRevision > 0n) revision = bump(edit, revision, bumpRevision);
    };
    await makeMember(env, target, { ...founding(identity), source, change });
    return { ...identity, revision };
  } finally {
    source.close();
  }
}

/** As etcd does it: an empty row at the new revision, up to which a compaction is then due. */
function bump(edit: DatabaseEdit, revision: Revision, amount: bigint): Revision {
  const bumped = BigInt(revision) + amount;
  if (bumped >= BigInt(CONSENSUS_END)) {
    const text = `revision ${revision} and ${amount} more is beyond what a store can count`;
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
  }
  const main = Number(bumped);
  edit.set(BUCKET.KEY, latin1FromBytes(revisionKey(main, 0)), new Uint8Array(0));
  edit.set(BUCKET.META, META_KEY.SCHEDULED_COMPACT, revisionKey(main, 0));
  return main;
}
