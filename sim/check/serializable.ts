// Reads that may be stale, and reads of the past: the answer must be the state of the keys at the
// revision that it is said to be of, and that revision must not lie in the future.

import type { ChangeLog } from './change-log.ts';
import {
  describeOperation,
  type History,
  type Operation,
  type RangeRequest,
  type Violation,
} from './history.ts';
import { equalRangeResults } from './kv-model.ts';
import { selectKeys } from './kv-state.ts';

export function checkReads(history: History, log: ChangeLog): Violation[] {
  const known = new KnownRevisions(history);
  const violations: Violation[] = [];
  for (const operation of history.operations) {
    const { request } = operation;
    if (request.kind !== 'range') continue;
    const text = wrongWith(operation, request, log, known);
    if (text === undefined) continue;
    violations.push({ rule: 'serializable', text: `${text}: ${describeOperation(operation)}` });
  }
  return violations;
}

function wrongWith(
  { outcome, returned }: Operation,
  request: RangeRequest,
  log: ChangeLog,
  known: KnownRevisions,
): string | undefined {
  const { revision: asked = 0 } = request;
  if (outcome.kind === 'failed' && outcome.error === 'COMPACTED') {
    if (!known.mayBeCompacted(asked, returned.order)) {
      return 'no client had compacted that revision';
    }
  }
  if (outcome.kind !== 'ok' || outcome.result.kind !== 'range') return undefined;
  const { revision: current, result } = outcome;
  const at = asked === 0 ? current : asked;
  if (at > current) return `answered as of ${at} by a member at ${current}`;
  const future = known.calledAfter(current, returned.order);
  if (future) return `revision ${current} was made later than that`;
  // What is compacted by now cannot be compared.
  if (!log.knowsState(at)) return undefined;
  const expected = selectKeys(log.stateAt(at, request), request);
  if (equalRangeResults(result, expected)) return undefined;
  return `the state at ${at} was ${JSON.stringify(expected)}`;
}

/** What real time says about revisions. */
export class KnownRevisions {
  /** When the request that made a revision was called. */
  readonly #calls = new Map<number, number>();
  readonly #compactions: { readonly order: number; readonly revision: number }[] = [];

  constructor(history: History) {
    for (const { request, outcome, called } of history.operations) {
      if (request.kind === 'compact' && outcome.kind !== 'failed') {
        this.#compactions.push({ order: called.order, revision: request.revision });
      }
      if (outcome.kind !== 'ok') continue;
      const { revision, result } = outcome;
      const wrote =
        result.kind === 'put' ||
        (result.kind === 'delete' && result.deleted > 0) ||
        (result.kind === 'txn' && result.results.some(isWrite));
      if (wrote) this.#calls.set(revision, called.order);
    }
  }

  /** Whether it is certain that this revision did not exist yet. */
  calledAfter(revision: number, order: number): boolean {
    const call = this.#calls.get(revision);
    return call !== undefined && call > order;
  }

  /** Whether a client had asked by then for a compaction that takes this revision away. */
  mayBeCompacted(revision: number, order: number): boolean {
    return this.#compactions.some((each) => each.order < order && each.revision > revision);
  }

  /** Whether a client had asked by then to compact at this revision or later. */
  mayBeCompactedTo(revision: number, order: number): boolean {
    return this.mayBeCompacted(revision - 1, order);
  }
}

function isWrite(result: { readonly kind: string; readonly deleted?: number }): boolean {
  return result.kind === 'put' || (result.kind === 'delete' && result.deleted! > 0);
}
