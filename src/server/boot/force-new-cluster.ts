// `--force-new-cluster`: this member continues alone with its data. Entries that are not known to be
// committed are discarded and replaced by entries that remove every other member (and make this one a
// voter), which count as committed. So every release can read the log.

import type { LogIndex } from '../../base/index.ts';
import {
  Cluster,
  CONF_CHANGE,
  confChangeContext,
  formatId,
  promotionContext,
} from '../../membership/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import { encodeConfChange } from '../../raft/index.ts';
import { replayMembership } from '../../store/index.ts';
import type { OpenedWal, WalAppend } from '../../wal/index.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Base } from './store-opening.ts';

interface ForceOptions {
  readonly opened: OpenedWal;
  readonly base: Base;
  readonly applied: LogIndex;
  readonly memberId: bigint;
  /** The membership as of `applied`. */
  readonly cluster: Cluster;
  /** The setting with which the entries were applied. */
  readonly maxLearners: number;
  readonly log: Logger;
}

/** Rewrites the log; resolves with it when the appended entries are durable. */
export async function forceNewCluster(
  options: ForceOptions,
): Promise<Pick<OpenedWal, 'entries' | 'hardState'>> {
  const { opened, base, applied, memberId, log } = options;
  const { vote } = opened.hardState;
  const lastIndex = base.index + opened.entries.length;
  const noted = Math.min(Math.max(opened.hardState.commit, applied), lastIndex);
  const upTo = (index: LogIndex) => opened.entries.slice(0, index - base.index);
  // For a member that is alone already, everything in its log is committed.
  const [voter, ...others] = membershipAfter(options, upTo(noted)).votingMembers();
  const committed = voter?.id === memberId && others.length === 0 ? lastIndex : noted;
  const kept = upTo(committed);
  // The newest hard state may be lost; terms in the log must not go back.
  const term = Math.max(opened.hardState.term, kept.at(-1)?.term ?? base.term);
  if (committed < lastIndex) {
    log.info('discarding uncommitted WAL entries', {
      'entry-index': committed + 1,
      'commit-index-from-wal': committed,
      'number-of-discarded-entries': lastIndex - committed,
    });
  }
  const added = changesToBeAlone(options, kept).map((change, i): raftpb.Entry => {
    const { type, data } = encodeConfChange(change);
    return { type, term, index: committed + 1 + i, data: data ?? new Uint8Array(0) };
  });
  const hardState = {
    term,
    vote: term === opened.hardState.term ? vote : 0n,
    commit: committed + added.length,
  };
  await append(opened, added, hardState);
  log.info('forcing restart member', {
    'cluster-id': formatId(options.cluster.id),
    'local-member-id': formatId(memberId),
    'wal-commit-index': opened.hardState.commit,
    'commit-index': hardState.commit,
  });
  return { entries: [...kept, ...added], hardState };
}

function membershipAfter(
  { applied, cluster, maxLearners }: ForceOptions,
  entries: readonly raftpb.Entry[],
): Cluster {
  const end = new Cluster(cluster.state(), { clusterId: cluster.id, maxLearners });
  const later = entries.filter((entry) => entry.index > applied);
  replayMembership(end, later, later.at(-1)?.index ?? applied);
  return end;
}

/** Changes from the membership at the end of `entries` to this member alone. */
function changesToBeAlone(
  options: ForceOptions,
  entries: readonly raftpb.Entry[],
): raftpb.ConfChange[] {
  const { memberId } = options;
  const end = membershipAfter(options, entries);
  const empty = new Uint8Array(0);
  const changes: raftpb.ConfChange[] = end
    .members()
    .filter(({ id }) => id !== memberId)
    .map(({ id: nodeId }) => ({
      id: 0n,
      type: CONF_CHANGE.REMOVE_NODE,
      nodeId,
      context: empty,
    }));
  const own = end.member(memberId);
  const context =
    own === undefined
      ? confChangeContext({
          id: memberId,
          peerURLs: ['http://localhost:2380', 'http://localhost:7001'],
          isLearner: false,
          name: '',
          clientURLs: [],
        })
      : promotionContext(memberId);
  if (own?.isLearner !== false) {
    changes.unshift({ id: 0n, type: CONF_CHANGE.ADD_NODE, nodeId: memberId, context });
  }
  return changes;
}

function append(
  { wal }: OpenedWal,
  entries: readonly raftpb.Entry[],
  hardState: raftpb.HardState,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const work: WalAppend = {
      entries,
      hardState,
      mustSync: true,
      complete: (error) => (error === undefined ? resolve() : reject(error)),
    };
    wal.append(work);
  });
}
