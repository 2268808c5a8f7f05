// Installs a leader's snapshot: replaces the running store.
//
// Before it, the log has the snapshot's record and raft continues from there; the received database is open
// beside the one in use. After a crash before step 2, boot completes the installation
// (`takeReceivedDatabase`); after a later crash, boot is normal.
//
//     1 commit the received database, whose index becomes the snapshot's
//     2 rename it to its final name
//     3 between two entries: a new state machine over it, to which the watchers move
//
// Entries delivered before, which the snapshot covers, are skipped.

import type { Cluster } from '../../membership/index.ts';
import type { DataDirectory } from '../../offline/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import { writeMembershipRows } from '../../store/index.ts';
import { adoptReceived, type Base, recoverCluster, type Store } from '../boot/store-opening.ts';
import type { ServerConfig } from '../config/index.ts';

interface InstallOptions {
  readonly config: Pick<ServerConfig, 'maxLearners'>;
  readonly directory: DataDirectory;
  readonly clusterId: bigint;
  /** Sets what is captured with each batch of the new backend. */
  readonly prepare: (received: Received) => void;
}

/** A received database, ready to be served. */
interface Received {
  readonly store: Store;
  readonly cluster: Cluster;
  readonly confState: raftpb.ConfState;
}

/**
 * Steps 1 and 2 for the database of `snapshot`, which is open as `store`. A failure closes it and stops the
 * member, since the log has the snapshot's record.
 */
export async function adoptSnapshot(
  options: InstallOptions,
  snapshot: raftpb.Snapshot,
  store: Store,
): Promise<Received> {
  const { directory, clusterId, config } = options;
  const { index = 0, term = 0, confState } = snapshot.metadata ?? {};
  if (confState === undefined) throw new TypeError('raft takes no snapshot without a confState');
  const base: Base = { index, term, v2: snapshot.data };
  try {
    const limits = { clusterId, maxLearners: config.maxLearners };
    const { cluster, rows } = recoverCluster(store.backend, base, [], limits);
    const received = { store, cluster, confState };
    options.prepare(received);
    writeMembershipRows(store.backend, rows);
    await adoptReceived(store.backend, directory);
    return received;
  } catch (error) {
    await store.backend.close().catch(() => undefined);
    throw error;
  }
}
