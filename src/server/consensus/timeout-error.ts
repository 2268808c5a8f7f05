// Which of etcd's timeouts a proposal met: the leader failed while it waited, or a link was down.

import { quorumOf } from '../../membership/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { MemberCore } from '../core.ts';

/** For a proposal made at `sinceMs`, on the monotonic clock. */
export function timeoutErrorOf(core: MemberCore, sinceMs: number): EtcdErrorName {
  const { config, leadership, peers, machine, memberId, raft } = core;
  const { electedMs } = leadership;
  const previousLostMs = electedMs - 2 * config.electionMs;
  if (sinceMs > previousLostMs && sinceMs < electedMs) return 'TIMEOUT_DUE_TO_LEADER_FAIL';
  if (raft.leader === memberId) {
    const members = machine.cluster.members();
    const connected = peers.connectedCount(members, sinceMs);
    return connected < quorumOf(members.length) ? 'TIMEOUT_DUE_TO_CONNECTION_LOST' : 'TIMEOUT';
  }
  if (raft.leader === 0n || peers.isConnectedSince(raft.leader, sinceMs)) return 'TIMEOUT';
  return 'TIMEOUT_DUE_TO_CONNECTION_LOST';
}
