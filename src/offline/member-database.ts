// What the database of a stopped member says of itself.

import type { LogIndex, Revision, Term } from '../base/index.ts';
import type { Database, Violation } from '../bbolt/index.ts';
import { type ClusterVersion, type Member, readRows } from '../membership/index.ts';
import {
  CommittedView,
  checkStorageVersion,
  META_KEY,
  Restore,
  RowGate,
  readCount,
  readMembershipRows,
  readStorageVersion,
  visitorsOf,
} from '../store/index.ts';
import { type LockOptions, readingDatabase } from './database-file.ts';
import type { OfflineEnv } from './types.ts';

export interface MemberDatabase {
  /** The newest entry whose effects are in the file, and its term; a term of 0 is not known. */
  readonly consistentIndex: LogIndex;
  readonly term: Term;
  /** Undefined in files of releases up to 3.5, whose membership is not in the file. */
  readonly storageVersion: ClusterVersion | undefined;
  readonly members: readonly Member[];
  readonly removed: readonly bigint[];
  readonly clusterVersion: ClusterVersion | undefined;
  /** Of the newest row. */
  readonly revision: Revision;
  /** Bytes. */
  readonly size: number;
  readonly violations: readonly Violation[];
}

/** A `visit` that reads every bucket and row, as a member that starts does, and the gate that rows pass. */
export function visitAsMember(path: string) {
  const restore = new Restore(1);
  const gate = new RowGate();
  const visit = visitorsOf({
    path,
    received: undefined,
    inspect: (snapshot) => restore.inspect(snapshot),
    rows: { row: gate.accept.bind(gate) },
  });
  return { visit, gate };
}

/**
 * Reads the file as a whole: every page, bucket and row, as a member that starts does. `use` runs while the
 * file is locked. CORRUPT, MALFORMED or UNSUPPORTED, naming the place, for one that cannot be served.
 */
export function readingMemberDatabase<Result>(
  env: OfflineEnv,
  path: string,
  options: LockOptions,
  use: (found: MemberDatabase, database: Database) => Promise<Result> | Result,
): Promise<Result> {
  const { visit, gate } = visitAsMember(path);
  return readingDatabase(env, path, { ...options, visit }, async (database) => {
    const violations = await database.check();
    const transaction = database.beginRead();
    try {
      const view = new CommittedView(transaction);
      checkStorageVersion(view);
      const { members, removed, version } = readRows(readMembershipRows(view));
      const found: MemberDatabase = {
        ...{ members, removed, violations, clusterVersion: version, revision: gate.main },
        consistentIndex: readCount(view, META_KEY.CONSISTENT_INDEX),
        term: readCount(view, META_KEY.TERM),
        storageVersion: readStorageVersion(view),
        size: transaction.size,
      };
      return await use(found, database);
    } finally {
      transaction.close();
    }
  });
}
