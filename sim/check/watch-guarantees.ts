// What etcd promises about watches, for each recorded watch, compared with the change log:
//
// - ordered: events come in the order of their revisions.
// - unique: no event comes twice.
// - reliable: between two events that came, none was left out; and if all was quiet for long enough,
//   none is missing at the end.
// - atomic: the events of a revision come in one response (or in fragments that are marked so).
// - resumable: a watch from a revision begins with the first event from there.
// - bookmarkable: a progress notification comes after every event up to its revision.
// - and: filters hold, events say what happened (previous values included), no event comes from the
//   future, and a watch ends as compacted only if a client compacted.

import { type Change, type ChangeLog, storedKey } from './change-log.ts';
import { type History, includes, type Violation, type Watch, type WatchEvent } from './history.ts';
import { equalKeys } from './kv-state.ts';
import { KnownRevisions } from './serializable.ts';

export function checkWatches(history: History, log: ChangeLog): Violation[] {
  const known = new KnownRevisions(history);
  return history.watches.flatMap((watch, number) => {
    const check = new WatchCheck(watch, log, known);
    check.run();
    const name = `watch ${number} of ${watch.client} ${JSON.stringify(watch.request)}`;
    return check.violations.map(({ rule, text }) => ({ rule, text: `${name}: ${text}` }));
  });
}

class WatchCheck {
  readonly violations: Violation[] = [];
  readonly #watch: Watch;
  readonly #log: ChangeLog;
  readonly #known: KnownRevisions;

  constructor(watch: Watch, log: ChangeLog, known: KnownRevisions) {
    this.#watch = watch;
    this.#log = log;
    this.#known = known;
  }

  run(): void {
    this.#checkOrder();
    this.#checkAtomic();
    this.#checkProgress();
    for (const { at, events } of this.#watch.responses) {
      for (const event of events) this.#checkEvent(event, at.order);
    }
    this.#checkComplete();
    this.#checkEnd();
  }

  #wrong(rule: string, text: string): void {
    this.violations.push({ rule, text });
  }

  #checkOrder(): void {
    const seen = new Set<string>();
    let last = 0;
    for (const { events } of this.#watch.responses) {
      for (const event of events) {
        const { modRevision: revision, key } = event.kv;
        if (revision < last) this.#wrong('ordered', `${describe(event)} came after ${last}`);
        last = Math.max(last, revision);
        const id = `${revision} ${key}`;
        if (seen.has(id)) this.#wrong('unique', `${describe(event)} came twice`);
        seen.add(id);
      }
    }
  }

  #checkAtomic(): void {
    let last = 0;
    let isContinued = false;
    for (const { revision, events, fragment } of this.#watch.responses) {
      const newest = events.at(-1)?.kv.modRevision ?? last;
      if (!isContinued && events[0]?.kv.modRevision === last) {
        this.#wrong('atomic', `revision ${last} is split over responses`);
      }
      if (fragment && this.#watch.request.fragment !== true) {
        this.#wrong('atomic', `a fragment at ${newest} that was not asked for`);
      }
      if (newest > revision) {
        this.#wrong('reliable', `an event of ${newest} in a response as of ${revision}`);
      }
      last = newest;
      isContinued = fragment;
    }
  }

  #checkProgress(): void {
    let progress = 0;
    let last = 0;
    for (const { revision, events } of this.#watch.responses) {
      const first = events[0]?.kv.modRevision;
      if (first !== undefined && first <= progress) {
        this.#wrong('bookmarkable', `an event of ${first} after progress at ${progress}`);
      }
      last = events.at(-1)?.kv.modRevision ?? last;
      if (events.length > 0) continue;
      if (revision < Math.max(progress, last)) {
        const text = `progress at ${revision} after ${Math.max(progress, last)}`;
        this.#wrong('bookmarkable', text);
      }
      progress = revision;
    }
  }

  #checkEvent(event: WatchEvent, order: number): void {
    const { request } = this.#watch;
    const { kv } = event;
    const isFiltered = event.type === 'put' ? request.noPut : request.noDelete;
    if (isFiltered === true || !includes(request, kv.key)) {
      this.#wrong('filter', `${describe(event)} was not asked for`);
    }
    if (this.#known.calledAfter(kv.modRevision, order)) {
      this.#wrong('reliable', `${describe(event)} came before it was asked for`);
    }
    if (!this.#log.covers(kv.modRevision)) return;
    const change = this.#log.at(kv.modRevision).find((each) => each.key === kv.key);
    if (change === undefined || !isEventOf(event, change)) {
      const found = JSON.stringify(change);
      this.#wrong('reliable', `${describe(event)} is not what happened: ${found}`);
    }
    this.#checkPrevious(event, order);
  }

  #checkPrevious(event: WatchEvent, order: number): void {
    const { prevKv, kv } = event;
    if (this.#watch.request.prevKv !== true) {
      if (prevKv !== undefined) this.#wrong('previous', `${describe(event)} has one unasked`);
      return;
    }
    const before = kv.modRevision - 1;
    if (!this.#log.knowsState(before)) return;
    const expected = this.#log.keyAt(kv.key, before);
    if (prevKv === undefined) {
      if (expected === undefined || this.#known.mayBeCompacted(before, order)) return;
    } else if (expected !== undefined && equalKeys(prevKv, expected)) return;
    const texts = `${JSON.stringify(prevKv)}, not ${JSON.stringify(expected)}`;
    this.#wrong('previous', `${describe(event)} has ${texts}`);
  }

  /** Everything from the first to the last revision that the watch has vouched for. */
  #checkComplete(): void {
    const { request, created, responses } = this.#watch;
    const { startRevision } = request;
    const events = responses.flatMap((each) => each.events);
    const first = startRevision > 0 ? startRevision : (created?.revision ?? -1) + 1;
    const early = events.find((event) => event.kv.modRevision < first);
    if (early !== undefined) this.#wrong('resumable', `${describe(early)} is before ${first}`);
    if (first === 0) return;
    const last = this.#vouchedFor();
    const from = Math.max(first, this.#log.first);
    const wanted = this.#log
      .between(from, Math.min(last, this.#log.last), request)
      .filter((change) => (change.value === undefined ? !request.noDelete : !request.noPut));
    const found = new Set(events.map(({ kv }) => `${kv.modRevision} ${kv.key}`));
    const missing = wanted.filter((change) => !found.has(`${change.revision} ${change.key}`));
    if (missing.length === 0) return;
    const isFirst = missing[0] === wanted[0] && startRevision > 0;
    const texts = missing.slice(0, 5).map((change) => `${change.revision} ${change.key}`);
    const text = `${missing.length} of ${wanted.length} events are missing: ${texts.join(', ')}`;
    this.#wrong(isFirst ? 'resumable' : 'reliable', text);
  }

  /** Up to which revision nothing may be missing. */
  #vouchedFor(): number {
    const { responses, end } = this.#watch;
    let last = end?.kind === 'closed' ? end.expected : 0;
    for (const { revision, events, fragment } of responses) {
      const newest = events.at(-1)?.kv.modRevision ?? revision;
      // The rest of a revision that is fragmented may not have come before the end.
      last = Math.max(last, fragment ? newest - 1 : newest);
    }
    return last;
  }

  #checkEnd(): void {
    const { end, request, created } = this.#watch;
    if (end?.kind === 'closed' && end.expected > 0 && created === undefined) {
      this.#wrong('reliable', 'the server has never taken the watch');
    }
    if (end?.kind !== 'compacted') return;
    const { compactRevision, at } = end;
    if (!this.#known.mayBeCompactedTo(compactRevision, at.order)) {
      this.#wrong(
        'compacted',
        `ended as compacted at ${compactRevision}, which no client had asked for`,
      );
    }
    if (request.startRevision > compactRevision) {
      this.#wrong('compacted', `ended as compacted at ${compactRevision}, though it began later`);
    }
  }
}

function isEventOf({ type, kv }: WatchEvent, change: Change): boolean {
  const stored = storedKey(change);
  if (stored === undefined) return type === 'delete' && kv.value === '';
  return type === 'put' && equalKeys(kv, stored);
}

function describe({ type, kv }: WatchEvent): string {
  return `${type} of ${kv.key} at ${kv.modRevision}`;
}
