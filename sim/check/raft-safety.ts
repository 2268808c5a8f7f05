// What Raft promises, over what was observed of the members: who led in which term, which entries
// were committed, which state followed. A member that was restarted, or replaced under another id,
// keeps making the same promises.

import type { Violation } from './history.ts';

export type RaftObservation =
  | { readonly kind: 'leader'; readonly member: string; readonly term: number }
  /** `hash`: of the entry's type and data. */
  | {
      readonly kind: 'committed';
      readonly member: string;
      readonly index: number;
      readonly term: number;
      readonly hash: number;
    }
  /** State of the member when it has applied `index` and nothing later. */
  | {
      readonly kind: 'state';
      readonly member: string;
      readonly index: number;
      readonly hash: number;
    }
  /** A process of the member began; what it applies may begin again earlier. */
  | { readonly kind: 'started'; readonly member: string };

interface Seen {
  readonly member: string;
  readonly term: number;
  readonly hash: number;
}

/** Takes observations as they come, and says at once what is wrong with one. */
export class RaftSafety {
  readonly #leaders = new Map<number, string>();
  readonly #entries = new Map<number, Seen>();
  readonly #states = new Map<number, Seen>();
  /** Newest index committed by each member's process. */
  readonly #newest = new Map<string, { readonly index: number; readonly term: number }>();
  readonly violations: Violation[] = [];

  get leadersSeen(): number {
    return this.#leaders.size;
  }

  get entriesSeen(): number {
    return this.#entries.size;
  }

  observe(observation: RaftObservation): void {
    switch (observation.kind) {
      case 'leader':
        this.#leader(observation.member, observation.term);
        return;
      case 'committed':
        this.#committed(observation.member, observation);
        return;
      case 'state':
        this.#state(observation.member, observation.index, observation.hash);
        return;
      case 'started':
        this.#newest.delete(observation.member);
    }
  }

  #wrong(rule: string, text: string): void {
    this.violations.push({ rule, text });
  }

  #leader(member: string, term: number): void {
    const other = this.#leaders.get(term);
    if (other === undefined) this.#leaders.set(term, member);
    else if (other !== member) {
      this.#wrong('election safety', `term ${term} has two leaders: ${other} and ${member}`);
    }
  }

  #committed(
    member: string,
    entry: { readonly index: number; readonly term: number; readonly hash: number },
  ): void {
    const { index, term, hash } = entry;
    const before = this.#newest.get(member);
    if (before !== undefined && index !== before.index + 1) {
      this.#wrong('log matching', `${member} committed ${index} after ${before.index}`);
    }
    if (before !== undefined && term < before.term) {
      const text = `${member} committed ${index} of term ${term} after one of term ${before.term}`;
      this.#wrong('log matching', text);
    }
    this.#newest.set(member, { index, term });
    const other = this.#entries.get(index);
    if (other === undefined) this.#entries.set(index, { member, term, hash });
    else if (other.term !== term || other.hash !== hash) {
      const theirs = `${other.member} committed term ${other.term}, hash ${other.hash}`;
      const text = `entry ${index}: ${theirs}; ${member} term ${term}, hash ${hash}`;
      this.#wrong('state machine safety', text);
    }
  }

  #state(member: string, index: number, hash: number): void {
    const other = this.#states.get(index);
    if (other === undefined) this.#states.set(index, { member, term: 0, hash });
    else if (other.hash !== hash) {
      const text = `state after ${index}: ${other.hash} on ${other.member}, ${hash} on ${member}`;
      this.#wrong('same state', text);
    }
  }
}

export function checkRaftSafety(observations: readonly RaftObservation[]): Violation[] {
  const safety = new RaftSafety();
  for (const observation of observations) safety.observe(observation);
  return safety.violations;
}
