// Payloads that raft has not taken: those of this turn, or all while there is no leader or no room in its
// log. Bounded: whoever adds asks for room first. Hot: no object per proposal.

import { invariant, verify } from '../../base/index.ts';
import { LOOP_BYTES_MAX, LOOP_PROPOSALS_MAX, RAFT_MESSAGE_BYTES_MAX } from '../limits.ts';

/** The maker of a proposal. */
export interface Proposer {
  /** When it was made, on the monotonic clock. */
  readonly sinceMs: number;
  /** Called before raft takes the proposal; if false, it is dropped. */
  isWanted(): boolean;
  drop(): void;
}

export class ProposalQueue {
  #payloads: Uint8Array[] = [];
  /** The proposer of each payload. */
  #proposers: Proposer[] = [];
  #bytes = 0;

  get length(): number {
    return this.#payloads.length;
  }

  /** Whether there is room for another one beside `others` that are counted with these. */
  hasRoom(others: number): boolean {
    return this.#payloads.length + others < LOOP_PROPOSALS_MAX && this.#bytes < LOOP_BYTES_MAX;
  }

  add(payload: Uint8Array, proposer: Proposer): void {
    this.#payloads.push(payload);
    this.#proposers.push(proposer);
    this.#bytes += payload.length;
    invariant(this.#proposers.length === this.#payloads.length, 'each payload has its proposer');
  }

  /** The oldest, up to one message: forwarded to a leader they are one MsgProp. Not to be changed. */
  nextBatch(): readonly Uint8Array[] {
    if (this.#bytes <= RAFT_MESSAGE_BYTES_MAX) return this.#payloads;
    let bytes = 0;
    const end = this.#payloads.findIndex((payload) => {
      bytes += payload.length;
      return bytes > RAFT_MESSAGE_BYTES_MAX;
    });
    return end === -1 ? this.#payloads : this.#payloads.slice(0, Math.max(end, 1));
  }

  /** Raft has taken the oldest so many. */
  shift(count: number): void {
    invariant(count <= this.#payloads.length, 'only proposals that wait are taken');
    for (let i = 0; i < count; i++) this.#bytes -= this.#payloads[i]!.length;
    const isAll = count === this.#payloads.length;
    this.#payloads = isAll ? [] : this.#payloads.slice(count);
    this.#proposers = isAll ? [] : this.#proposers.slice(count);
    this.#check();
  }

  /** Drops, without a word to their proposers, those made by then: they have timed out. */
  expire(madeBefore: number): void {
    let count = 0;
    while (count < this.#proposers.length && this.#proposers[count]!.sinceMs <= madeBefore) count++;
    if (count > 0) this.shift(count);
  }

  /** Drops those that nobody wants any more, in place. */
  dropUnwanted(): void {
    const payloads = this.#payloads;
    const proposers = this.#proposers;
    let kept = 0;
    for (let i = 0; i < proposers.length; i++) {
      const proposer = proposers[i]!;
      if (!proposer.isWanted()) {
        this.#bytes -= payloads[i]!.length;
        proposer.drop();
        continue;
      }
      if (kept < i) {
        payloads[kept] = payloads[i]!;
        proposers[kept] = proposer;
      }
      kept++;
    }
    payloads.length = kept;
    proposers.length = kept;
    this.#check();
  }

  #check(): void {
    invariant(this.#proposers.length === this.#payloads.length, 'each payload has its proposer');
    invariant(this.#bytes >= 0, 'the bytes of a proposal are counted once');
    invariant(this.#payloads.length > 0 || this.#bytes === 0, 'the bytes are of those that wait');
    if (!verify.all) return;
    let bytes = 0;
    for (const payload of this.#payloads) bytes += payload.length;
    invariant(bytes === this.#bytes, 'the bytes are of those that wait');
  }
}
