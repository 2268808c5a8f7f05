// The position of a watch: which events were delivered, and the revision to continue at after a break, so
// that no event is lost or delivered twice. Pure.
//
// Events come in revision order. A server may cut the events of one revision into fragments; a break
// between two of them leaves the revision half delivered. Its events come in the same order each time,
// so the watch begins again at that revision and drops as many of its events as were delivered.
//
//   delivered: 4 5 5 | break | created again at 5, skipping 2:     5 5 5 6
//                              delivered:                              5 6

import { invariant } from '../../base/index.ts';
import type { mvccpb } from '../../protocol/index.ts';

/** Revisions are only compared; a negative start ("everything") equals 1. */
export class WatchCursor {
  /** Requested start; 0, "from now on", until the server has sent the current revision. */
  #start: number;
  /** Every event below this revision has been delivered. */
  #complete = Number.NEGATIVE_INFINITY;
  /** Events of revision `#complete` that have been delivered: more of them may come. */
  #deliveredOfNext = 0;
  /** How many of those this subscription still has to skip. */
  #skip = 0;
  /** Progress: the server has sent all events up to here. */
  #progress = Number.NEGATIVE_INFINITY;

  constructor(startRevision: number) {
    this.#start = startRevision;
  }

  /** Start revision for a subscription that begins now; 0 for "from now on". */
  begin(): number {
    this.#skip = this.#deliveredOfNext;
    if (this.#deliveredOfNext > 0) return this.#complete;
    return Math.max(this.#start, this.#complete, this.#progress + 1);
  }

  /** The server has created the watch; `revision` is that of the store then. */
  onCreated(revision: number): void {
    if (this.#start === 0) this.#start = revision + 1;
  }

  /** Everything up to `revision` has been sent to this subscription. */
  onProgress(revision: number): void {
    // A revision that is partly delivered stays so, regardless of the server's progress.
    if (this.#deliveredOfNext === 0) this.#progress = Math.max(this.#progress, revision);
  }

  /** Those of `events` that have not been delivered yet. `fragment`: more of the last revision follows. */
  accept(events: readonly mvccpb.Event[], fragment: boolean): readonly mvccpb.Event[] {
    const fresh: mvccpb.Event[] = [];
    for (const event of events) {
      const revision = event.kv?.modRevision ?? 0;
      if (revision < this.#complete) continue;
      if (revision > this.#complete) {
        this.#complete = revision;
        this.#deliveredOfNext = 0;
        this.#skip = 0;
      }
      if (this.#skip > 0) {
        this.#skip--;
        continue;
      }
      this.#deliveredOfNext++;
      fresh.push(event);
    }
    if (!fragment && events.length > 0 && this.#deliveredOfNext > 0) {
      this.#complete++;
      this.#deliveredOfNext = 0;
      this.#skip = 0;
    }
    invariant(this.#skip <= this.#deliveredOfNext, 'only what was delivered is skipped');
    return fresh;
  }
}
