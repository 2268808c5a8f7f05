// Reads that wait for a quorum to confirm the leader (thesis, section 6.4).
//
// Reads are numbered in the order of their arrival in this leadership. A heartbeat carries the
// number of the newest read; its answer confirms that read and all before it, so that one round
// serves any number of reads. Which reads a quorum has confirmed is then the same question as which
// entries it has acknowledged.
//
//   1  2  3  4 | 5  6  7  8  9        confirmed = 4, waiting = 5
//     answered     a heartbeat sent now carries 9

import { EMPTY_BYTES, invariant, type LogIndex } from '../base/index.ts';
import type { NodeId } from './ids.ts';
import { type AckedIndexes, type JointVoters, jointCommittedIndex } from './quorum/index.ts';
import type { Message } from './raftpb.ts';

/** A read that may be served as soon as `index` is applied. */
export interface ReadState {
  readonly index: LogIndex;
  /** What the reader passed to `readIndex`. */
  readonly context: Uint8Array;
}

interface WaitingRead {
  /** The request: its `from` tells where the answer goes. */
  readonly request: Message;
  /** The commit index when it arrived. */
  readonly index: LogIndex;
}

const CONTEXT_BYTES = 8;
const TWO_TO_32 = 0x1_0000_0000;

export class ReadOnly implements AckedIndexes {
  #waiting: WaitingRead[] = [];
  /** How many reads were confirmed before the first of `#waiting`. */
  #confirmed = 0;
  readonly #acks = new Map<NodeId, number>();

  get waitingCount(): number {
    return this.#waiting.length;
  }

  add(read: WaitingRead): void {
    const last = this.#waiting[this.#waiting.length - 1];
    invariant(last === undefined || last.index <= read.index, 'the index of reads never goes back');
    this.#waiting.push(read);
  }

  /**
   * What a heartbeat carries to get all waiting reads confirmed: the number of the newest, 8 bytes,
   * little-endian. Empty if none waits.
   */
  heartbeatContext(): Uint8Array {
    if (this.#waiting.length === 0) return EMPTY_BYTES;
    const number = this.#confirmed + this.#waiting.length;
    invariant(number > this.#confirmed, 'a heartbeat carries the number of a waiting read');
    const bytes = new Uint8Array(CONTEXT_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, number % TWO_TO_32, true);
    view.setUint32(4, Math.floor(number / TWO_TO_32), true);
    return bytes;
  }

  /** `from` answered a heartbeat that carried `context`; what we cannot have sent is ignored. */
  acknowledge(from: NodeId, context: Uint8Array): void {
    if (context.length !== CONTEXT_BYTES) return;
    const view = new DataView(context.buffer, context.byteOffset, CONTEXT_BYTES);
    const number = view.getUint32(0, true) + view.getUint32(4, true) * TWO_TO_32;
    if (number > this.#confirmed + this.#waiting.length) return;
    if (number > (this.#acks.get(from) ?? 0)) this.#acks.set(from, number);
  }

  ackedIndex(id: NodeId): number | undefined {
    return this.#acks.get(id);
  }

  /** Takes out the reads that a quorum of `voters` has confirmed, in order. */
  takeConfirmed(voters: JointVoters): WaitingRead[] {
    const confirmed = jointCommittedIndex(voters, this);
    if (confirmed <= this.#confirmed) return [];
    invariant(
      confirmed <= this.#confirmed + this.#waiting.length,
      'no read is confirmed that no heartbeat carried',
    );
    const taken = this.#waiting.slice(0, confirmed - this.#confirmed);
    this.#waiting = this.#waiting.slice(taken.length);
    this.#confirmed += taken.length;
    invariant(this.#confirmed === confirmed, 'every read that a quorum confirmed is taken out');
    return taken;
  }
}
