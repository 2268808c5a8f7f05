// The etcd error for a proposal that timed out: the leader changed while it waited, or a link was down.

import { quorumOf } from '../../membership/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { Leadership } from './leadership.ts';
import type { PeerLinks } from './peer-links.ts';
import type { RaftState } from './raft-state.ts';
import type { StoreView } from './store-view.ts';

export interface TimeoutErrorParts {
  readonly memberId: bigint;
  readonly config: Pick<ServerConfig, 'electionMs'>;
  readonly raft: Pick<RaftState, 'leader'>;
  readonly leadership: Pick<Leadership, 'electedMs'>;
  readonly store: StoreView<'cluster'>;
  readonly peers: Pick<PeerLinks, 'isConnectedSince' | 'connectedCount'>;
}

/** For a proposal made at `sinceMs`, on the monotonic clock. */
export function timeoutErrorOf(parts: TimeoutErrorParts, sinceMs: number): EtcdErrorName {
  const { config, leadership, peers, store, memberId, raft } = parts;
  const { electedMs } = leadership;
  const previousLostMs = electedMs - 2 * config.electionMs;
  if (sinceMs > previousLostMs && sinceMs < electedMs) return 'TIMEOUT_DUE_TO_LEADER_FAIL';
  if (raft.leader === memberId) {
    const members = store.machine.cluster.members();
    const connected = peers.connectedCount(members, sinceMs);
    return connected < quorumOf(members.length) ? 'TIMEOUT_DUE_TO_CONNECTION_LOST' : 'TIMEOUT';
  }
  if (raft.leader === 0n || peers.isConnectedSince(raft.leader, sinceMs)) return 'TIMEOUT';
  return 'TIMEOUT_DUE_TO_CONNECTION_LOST';
}
