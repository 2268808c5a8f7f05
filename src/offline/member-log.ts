// The log of a stopped member, as a member that starts would read it.

import { ERROR_CODES, type LogIndex, type Term, TetcdError } from '../base/index.ts';
import { etcdserverpb, type raftpb } from '../protocol/index.ts';
import { readWal, summarizeWal, walExists } from '../wal/index.ts';
import type { OfflineEnv } from './types.ts';

/** A position in a log; 0 and 0 before its first entry. */
export interface LogPosition {
  readonly index: LogIndex;
  readonly term: Term;
}

export interface MemberLog {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly hardState: raftpb.HardState;
  /** The newest snapshot that counts. */
  readonly base: LogPosition;
  /** After the base; those above the commit index of the hard state may not be committed. */
  readonly entries: readonly raftpb.Entry[];
  /** The last entry, or the base. */
  readonly last: LogPosition;
}

/** Changes nothing; a torn tail is left out. NOT_FOUND, CORRUPT or DISK_FAILED, naming file and offset. */
export async function readMemberLog(env: OfflineEnv, wal: string): Promise<MemberLog> {
  if (!(await walExists(env, wal))) {
    throw new TetcdError(ERROR_CODES.NOT_FOUND, `there is no log in ${wal}`);
  }
  const { validSnapshots } = await summarizeWal(env, wal);
  const { index, term } = validSnapshots.at(-1) ?? { index: 0, term: 0 };
  const base = { index, term };
  const { metadata, hardState, entries } = await readWal(env, wal, base);
  const { nodeID: memberId, clusterID: clusterId } = etcdserverpb.MetadataCodec.decode(metadata);
  const { index: lastIndex, term: lastTerm } = entries.at(-1) ?? base;
  const last = { index: lastIndex, term: lastTerm };
  return { memberId, clusterId, hardState, base, entries, last };
}

/** Of the base or of an entry; undefined if the log does not have it. */
export function termOf({ base, entries }: MemberLog, index: LogIndex): Term | undefined {
  return index === base.index ? base.term : entries[index - base.index - 1]?.term;
}
