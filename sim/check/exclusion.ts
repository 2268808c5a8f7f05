// What locks and elections promise: one holder at a time, for as long as its lease lives; and whoever
// waits is told when its turn has come.

import type { ChangeLog } from './change-log.ts';
import type { History, Moment, Violation } from './history.ts';

/** A lock that was got, or an election that was won. */
export interface Hold {
  readonly name: string;
  readonly lease: string;
  readonly key: string;
  /** Of an answer as of which it was the first; 0 if the answer does not say. */
  readonly revision: number;
  readonly returned: Moment;
  /** When its holder began to give it up. */
  ended: Moment | undefined;
}

export interface ExclusionOptions {
  /** How much faster than the clients' clock a member's may run, as a fraction. */
  readonly drift: number;
}

export function checkExclusion(
  holds: readonly Hold[],
  history: History,
  log: ChangeLog,
  options: ExclusionOptions,
): Violation[] {
  const leases = new LeaseLives(history, options.drift);
  const sorted = [...holds].sort((a, b) => a.returned.order - b.returned.order);
  return sorted.flatMap((hold, i) => {
    const text = wrongRevision(hold, log) ?? overlap(hold, sorted.slice(0, i), leases);
    return text === undefined ? [] : [{ rule: 'mutual exclusion', text }];
  });
}

/** As of the revision of the answer, no key of the queue was created before the holder's. */
function wrongRevision({ name, key, revision }: Hold, log: ChangeLog): string | undefined {
  if (revision === 0 || !log.knowsState(revision)) return undefined;
  const queue = log.stateAt(revision, { key: `${name}/`, end: `${name}0` });
  const own = queue.find((each) => each.key === key);
  const first = queue.every((each) => each.createRevision >= (own?.createRevision ?? 0));
  if (own !== undefined && first) return undefined;
  return `${key} was not the first at revision ${revision}: ${JSON.stringify(queue)}`;
}

/** Another one held it when this one had got it, and had neither ended nor lost its lease. */
function overlap(hold: Hold, before: readonly Hold[], leases: LeaseLives): string | undefined {
  const { returned, name, lease } = hold;
  const other = before.find(
    (each) =>
      each.name === name &&
      each.lease !== lease &&
      (each.ended === undefined || each.ended.order > returned.order) &&
      leases.livesUntilMs(each.lease, returned) > returned.atMs,
  );
  if (other === undefined) return undefined;
  return `${JSON.stringify(other)} was held when ${JSON.stringify(hold)} was got`;
}

/** Until when leases live at least, by what clients were answered. */
class LeaseLives {
  readonly #renewals = new Map<string, { readonly returned: number; readonly untilMs: number }[]>();

  constructor({ operations }: History, drift: number) {
    for (const { request, outcome, called, returned } of operations) {
      if (request.kind !== 'grant' && request.kind !== 'keepAlive') continue;
      if (outcome.kind !== 'ok' || outcome.result.kind !== 'lease') continue;
      const untilMs = called.atMs + outcome.result.ttl * 1000 * (1 - drift);
      const renewals = this.#renewals.get(request.lease) ?? [];
      renewals.push({ returned: returned.order, untilMs });
      this.#renewals.set(request.lease, renewals);
    }
  }

  livesUntilMs(lease: string, now: Moment): number {
    const known = (this.#renewals.get(lease) ?? []).filter((each) => each.returned < now.order);
    return Math.max(0, ...known.map(({ untilMs }) => untilMs));
  }
}
