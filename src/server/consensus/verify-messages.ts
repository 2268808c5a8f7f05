// A costly check of the ready loop, under TETCD_VERIFY=all.

import { invariant } from '../../base/index.ts';
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  type NodeId,
} from '../../raft/index.ts';

/** The messages of a Ready: at most one write and one run of entries to apply. */
export function verifyMessages(messages: readonly Message[]): void {
  const countTo = (target: NodeId): number => messages.filter(({ to }) => to === target).length;
  invariant(countTo(LOCAL_APPEND_THREAD) <= 1, 'a Ready has one write');
  invariant(countTo(LOCAL_APPLY_THREAD) <= 1, 'a Ready has one run of entries to apply');
}
