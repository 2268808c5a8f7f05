// The failpoints before messages go to other members; called only in a process that has failpoints.

import { failpoints } from '../../base/index.ts';
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  type RawNode,
  ROLES,
} from '../../raft/index.ts';

/** Hits one if any of the messages is for another member. */
export function hitBeforeSend(node: RawNode, messages: readonly Message[]): void {
  const isSent = ({ to }: Message): boolean =>
    to !== LOCAL_APPEND_THREAD && to !== LOCAL_APPLY_THREAD && to !== node.id;
  if (!messages.some(isSent)) return;
  const leads = node.basicStatus().role === ROLES.LEADER;
  failpoints.active?.hit(leads ? 'raftBeforeLeaderSend' : 'raftBeforeFollowerSend');
}
