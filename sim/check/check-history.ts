// All checks that need nothing but a history and the change log.

import { ChangeLog } from './change-log.ts';
import type { History, Violation } from './history.ts';
import { describeLinearization, linearize } from './kv-history.ts';
import { changesOfOrder } from './kv-model.ts';
import { checkLeases, type LeaseCheckOptions } from './leases.ts';
import { checkReads } from './serializable.ts';
import { checkWatches } from './watch-guarantees.ts';

export interface HistoryCheckOptions extends LeaseCheckOptions {
  /**
   * The rows of the members, merged. Without them the log is taken from the order that the
   * linearizability check finds, so that nothing else is checked if it finds none.
   */
  readonly log?: ChangeLog;
  readonly stepsMax?: number;
}

/** Everything that is wrong; empty for a history that keeps every promise. */
export function checkHistory(history: History, options: HistoryCheckOptions = {}): Violation[] {
  const result = linearize(history, options.log, options);
  const violations = [...describeLinearization(result)];
  let { log } = options;
  if (log === undefined && result.kind === 'ok') {
    log = new ChangeLog(changesOfOrder(result.order), 2, result.final.revision);
  }
  if (log === undefined) return violations;
  violations.push(...checkReads(history, log));
  violations.push(...checkWatches(history, log));
  violations.push(...checkLeases(history, log, options));
  return violations;
}
