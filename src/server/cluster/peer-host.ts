// What the transport between members asks of this member.

import { TetcdError } from '../../base/index.ts';
import { type Cluster, formatId } from '../../membership/index.ts';
import { type PeerHost, RECEIPTS, SENDERS } from '../../peer/index.ts';
import { raftpb } from '../../protocol/index.ts';
import { confChangeIn, ENTRY_NORMAL } from '../../store/index.ts';
import type { ReadyLoop } from '../consensus/ready-loop.ts';
import type { MemberCore } from '../core.ts';
import type { SnapshotTransfer } from '../snapshot/snapshot-transfer.ts';
import { handlePeerRequest } from './peer-requests.ts';

const { MessageType } = raftpb;

interface PeerHostParts {
  readonly core: MemberCore;
  readonly loop: ReadyLoop;
  readonly transfer: SnapshotTransfer;
  /** Reports a peer that cannot be reached to raft. */
  readonly reportUnreachable: (id: bigint) => void;
  /** This member does not belong to the cluster any more. */
  readonly onRemoved: () => void;
}

export function createPeerHost(parts: PeerHostParts): PeerHost {
  const { core, loop, transfer } = parts;
  return {
    receive: (message) => {
      if (core.machine.cluster.isRemoved(message.from)) {
        core.log.warn('rejected Raft message from removed member', {
          'local-member-id': formatId(core.memberId),
          'removed-member-id': formatId(message.from),
        });
        return RECEIPTS.FROM_REMOVED;
      }
      if (message.to !== core.memberId) {
        core.log.warn('rejected Raft message to mismatch member', {
          'local-member-id': formatId(core.memberId),
          'mismatch-member-id': formatId(message.to),
        });
        return RECEIPTS.NOT_FOR_ME;
      }
      // While a leader hands over before it stops, it still takes part.
      if (loop.isStopped) return RECEIPTS.REFUSED;
      if (message.type === MessageType.MsgProp) {
        const problem = problemOfProposal(core.machine.cluster, message.entries);
        if (problem !== undefined) {
          core.log.warn('rejected a proposal that cannot be applied', {
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
      core.log.warn('rejected a snapshot message without its database', {
        'remote-peer-id': formatId(message.from),
        'snapshot-index': message.snapshot?.metadata?.index ?? 0,
      });
      return RECEIPTS.REFUSED;
    },
    isRemoved: (id) => core.machine.cluster.isRemoved(id),
    senderOf: (id) => {
      if (id === core.raft.leader) return SENDERS.LEADER;
      const isMember = core.machine.cluster.members().some((member) => member.id === id);
      return isMember ? SENDERS.MEMBER : SENDERS.UNKNOWN;
    },
    reportUnreachable: parts.reportUnreachable,
    onRemoved: (reason) => {
      core.log.warn('another member says that this one was removed', { reason });
      parts.onRemoved();
    },
    storeSnapshot: (message, body) => transfer.store(message, body),
    handle: (request) => handlePeerRequest(core, request),
  };
}

/**
 * Why the log must not have one of these: a change of the membership that cannot be read would end
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

/** Whether it goes with a database; see `snapshot-transfer.ts`. */
export function isSnapshotMessage(message: raftpb.Message): boolean {
  return message.type === MessageType.MsgSnap;
}
