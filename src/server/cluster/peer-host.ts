// The host of the peer transport: this member's side of it.

import { TetcdError } from '../../base/index.ts';
import { type Cluster, formatId } from '../../membership/index.ts';
import { type PeerHost, RECEIPTS, SENDERS } from '../../peer/index.ts';
import { raftpb } from '../../protocol/index.ts';
import { confChangeIn, ENTRY_NORMAL } from '../../store/index.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { ReadyLoop } from '../consensus/ready-loop.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { SnapshotTransfer } from '../snapshot/snapshot-transfer.ts';
import type { Logger } from '../telemetry/log.ts';
import type { OwnMembership } from './own-membership.ts';
import { handlePeerRequest, type PeerRequestParts } from './peer-requests.ts';

const { MessageType } = raftpb;

interface PeerHostParts extends PeerRequestParts {
  readonly memberId: bigint;
  readonly log: Logger;
  readonly raft: Pick<RaftState, 'leader'>;
  readonly loop: Pick<ReadyLoop, 'isStopped' | 'receive' | 'reportUnreachable'>;
  readonly store: PeerRequestParts['store'] & StoreView<'cluster'>;
  readonly transfer: Pick<SnapshotTransfer, 'handOver' | 'store'>;
  readonly membership: Pick<OwnMembership, 'acceptRemoval'>;
}

export function createPeerHost(parts: PeerHostParts): PeerHost {
  const { memberId, log, raft, loop, store, transfer, membership } = parts;
  return {
    receive: (message) => {
      if (store.machine.cluster.isRemoved(message.from)) {
        log.warn('rejected Raft message from removed member', {
          'local-member-id': formatId(memberId),
          'removed-member-id': formatId(message.from),
        });
        return RECEIPTS.FROM_REMOVED;
      }
      if (message.to !== memberId) {
        log.warn('rejected Raft message to mismatch member', {
          'local-member-id': formatId(memberId),
          'mismatch-member-id': formatId(message.to),
        });
        return RECEIPTS.NOT_FOR_ME;
      }
      // During the leadership transfer before a stop, the member still takes part.
      if (loop.isStopped) return RECEIPTS.REFUSED;
      if (message.type === MessageType.MsgProp) {
        const problem = problemOfProposal(store.machine.cluster, message.entries);
        if (problem !== undefined) {
          log.warn('rejected a proposal that cannot be applied', {
            'remote-peer-id': formatId(message.from),
            error: problem,
          });
          return RECEIPTS.REFUSED;
        }
      }
      if (message.type !== MessageType.MsgSnap) {
        loop.receive(message);
        return RECEIPTS.ACCEPTED;
      }
      if (transfer.handOver(message, () => loop.receive(message))) return RECEIPTS.ACCEPTED;
      log.warn('rejected a snapshot message without its database', {
        'remote-peer-id': formatId(message.from),
        'snapshot-index': message.snapshot?.metadata?.index ?? 0,
      });
      return RECEIPTS.REFUSED;
    },
    isRemoved: (id) => store.machine.cluster.isRemoved(id),
    senderOf: (id) => {
      if (id === raft.leader) return SENDERS.LEADER;
      const isMember = store.machine.cluster.members().some((member) => member.id === id);
      return isMember ? SENDERS.MEMBER : SENDERS.UNKNOWN;
    },
    reportUnreachable: (id) => loop.reportUnreachable(id),
    onRemoved: (reason) => {
      log.warn('another member says that this one was removed', { reason });
      membership.acceptRemoval();
    },
    storeSnapshot: (message, body) => transfer.store(message, body),
    handle: (request) => handlePeerRequest(parts, request),
  };
}

/**
 * Why these entries must not get into the log: a membership change that cannot be decoded would stop
 * every member that applies it.
 */
function problemOfProposal(cluster: Cluster, entries: readonly raftpb.Entry[]): string | undefined {
  for (const entry of entries) {
    if (entry.type === ENTRY_NORMAL) continue;
    try {
      cluster.refusalOf(confChangeIn(entry));
    } catch (error) {
      if (!(error instanceof TetcdError)) throw error;
      return error.message;
    }
  }
  return undefined;
}
