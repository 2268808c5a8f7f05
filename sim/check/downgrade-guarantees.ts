// What etcd promises about downgrades: the cluster version falls because of an ENABLE alone, and only to its
// target; a request is answered as of some moment while it lasted.

import {
  compareVersions,
  downgradeTargetOf,
  formatStoredVersion,
  parseStoredVersion,
} from '../../src/membership/index.ts';
import type { Moment, Violation } from './history.ts';
import type { VersionState, VersionStates } from './version-states.ts';

/** A request of the operator. */
export interface DowngradeCall {
  readonly action: 'validate' | 'enable' | 'cancel';
  /** `3.6.0`; empty for a cancellation. */
  readonly target: string;
  readonly called: Moment;
  readonly returned: Moment;
  readonly outcome: 'ok' | 'unknown' | { readonly refused: string };
}

export interface DowngradeEvidence {
  readonly calls: readonly DowngradeCall[];
  /** When every member was to run the target, after which the cluster ends the downgrade by itself. */
  readonly completed: readonly Moment[];
}

/**
 * A leader that has decided to lower the version may learn only then that the downgrade is cancelled: the
 * version falls, and rises again.
 */
const LATE_MS_MAX = 15_000;

export function checkDowngrades(
  versions: VersionStates,
  { calls, completed }: DowngradeEvidence,
): Violation[] {
  const { states } = versions;
  const violations: Violation[] = [];
  const wrong = (rule: string, at: Moment, text: string) =>
    violations.push({ rule, text: `at ${Math.round(at.atMs)} ms: ${text}` });
  for (const [i, state] of states.entries()) {
    const before = states[i - 1];
    if (before === undefined) continue;
    const { at, index, version, target } = state;
    if (isLower(version, before.version) && version !== openTarget(states.slice(0, i), at)) {
      wrong(
        'no unasked downgrade',
        at,
        `entry ${index} lowers ${before.version} to ${version || 'none'}`,
      );
    }
    if (target === before.target) continue;
    const isCall = calls.some((call) => explains(call, target, at));
    const isEnd = target === '' && completed.some(({ order }) => order < at.order);
    if (!isCall && !isEnd) {
      wrong('downgrades are asked for', at, `entry ${index}: target "${target}", and nobody asked`);
    }
  }
  for (const call of calls) {
    const possible = versions.between(call.called, call.returned);
    if (possible.some((state) => isAnswerOf(call, state))) continue;
    const text = `${call.action} ${call.target}: ${JSON.stringify(call.outcome)}`;
    const was = possible.map(({ version, target }) => `${version} to "${target}"`).join(', ');
    wrong('downgrades are answered as they are', call.returned, `${text}, but it was ${was}`);
  }
  return violations;
}

function isLower(version: string, than: string): boolean {
  const [a, b] = [parseStoredVersion(version), parseStoredVersion(than)];
  return b !== undefined && (a === undefined || compareVersions(a, b) < 0);
}

/** The target of the downgrade in progress, or of one that has ended a moment ago. */
function openTarget(states: readonly VersionState[], at: Moment): string | undefined {
  const last = states.findLastIndex(({ target }) => target !== '');
  const end = states[last + 1];
  const isOpen = end === undefined || at.atMs - end.at.atMs < LATE_MS_MAX;
  return isOpen ? states[last]?.target : undefined;
}

/** Whether an entry with this target, first applied then, may be the request's. */
function explains({ outcome, target, called, returned }: DowngradeCall, to: string, at: Moment) {
  if (typeof outcome === 'object' || target !== to) return false;
  return called.order < at.order && (outcome === 'unknown' || at.order < returned.order);
}

function isAnswerOf({ action, target, outcome }: DowngradeCall, state: VersionState): boolean {
  if (outcome === 'unknown') return true;
  const version = parseStoredVersion(state.version);
  const isNext = version && formatStoredVersion(downgradeTargetOf(version)) === target;
  if (outcome === 'ok') {
    if (action === 'validate') return isNext === true && state.target === '';
    return state.target === target;
  }
  if (outcome.refused === 'DOWNGRADE_IN_PROCESS') return state.target !== '';
  return isNext !== true;
}
