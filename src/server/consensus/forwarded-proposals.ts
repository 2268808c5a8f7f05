// Proposals of other members that raft could not take: this member knew no leader when they arrived, was
// handing its leadership over, or had no room in its log. They wait as its own do. Members forward a
// proposal once: one that is lost is a client's timeout.

import { invariant } from '../../base/index.ts';
import { type Message, type RawNode, STEP_RESULTS } from '../../raft/index.ts';
import { FORWARDED_BYTES_MAX, FORWARDED_MESSAGES_MAX } from '../limits.ts';

interface Held {
  readonly message: Message;
  readonly bytes: number;
  /** When it arrived, on the monotonic clock. */
  readonly sinceMs: number;
}

export class ForwardedProposals {
  /** Oldest first. */
  #held: Held[] = [];
  #bytes = 0;

  /** Takes over a MsgProp; drops it at the bound. */
  hold(message: Message, nowMs: number): void {
    let bytes = 0;
    for (const { data } of message.entries) bytes += data.length;
    const isFull = this.#held.length >= FORWARDED_MESSAGES_MAX;
    if (isFull || (this.#bytes > 0 && this.#bytes + bytes > FORWARDED_BYTES_MAX)) return;
    this.#held.push({ message, bytes, sinceMs: nowMs });
    this.#bytes += bytes;
  }

  /** Drops those that arrived by then: their clients have been answered. */
  expire(arrivedBefore: number): void {
    let count = 0;
    while (count < this.#held.length && this.#held[count]!.sinceMs <= arrivedBefore) count++;
    this.#forget(count);
  }

  /** Passes them to raft, until it takes no more. */
  offer(node: Pick<RawNode, 'step'>): void {
    if (this.#held.length === 0) return;
    let count = 0;
    for (; count < this.#held.length; count++) {
      if (node.step(this.#held[count]!.message) === STEP_RESULTS.PROPOSAL_DROPPED) break;
    }
    this.#forget(count);
  }

  #forget(count: number): void {
    for (const { bytes } of this.#held.splice(0, count)) this.#bytes -= bytes;
    invariant(this.#held.length > 0 || this.#bytes === 0, 'the bytes are of those that wait');
  }
}
