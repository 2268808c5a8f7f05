// The cluster version and the downgrade as the log made them, by a model that is naive on purpose. What is
// handed in are the entries of the log, as members begin to apply them.

import {
  formatStoredVersion,
  meaningOfV2Request,
  v2RequestIn,
} from '../../src/membership/index.ts';
import type { raftpb } from '../../src/protocol/index.ts';
import { requestIn } from './auth-states.ts';
import type { Moment } from './history.ts';

/** Versions in the stored form, `3.6.0`; empty if there is none. */
export interface VersionState {
  /** When the first member began to apply the entry that made it. */
  readonly at: Moment;
  readonly index: number;
  readonly version: string;
  /** Of the downgrade in progress. */
  readonly target: string;
}

export class VersionStates {
  /** One per change; the first is that of an empty database. */
  readonly states: VersionState[] = [
    { at: { order: 0, atMs: 0 }, index: 0, version: '', target: '' },
  ];
  #newest = 0;

  get newest(): VersionState {
    return this.states.at(-1)!;
  }

  /** A member begins to apply an entry; what is so before it is returned. */
  applies(entry: raftpb.Entry, at: Moment): VersionState {
    const { index } = entry;
    if (index > this.#newest) {
      this.#newest = index;
      const change = changeOf(entry);
      if (change !== undefined) this.states.push({ ...this.newest, ...change, at, index });
    }
    return this.states.findLast((state) => state.index < index)!;
  }

  /** What was so at some moment from `called` to `returned`. */
  between(called: Moment, returned: Moment): VersionState[] {
    const first = this.states.findLastIndex(({ at }) => at.order <= called.order);
    return this.states.slice(first).filter(({ at }) => at.order <= returned.order);
  }
}

function changeOf(
  entry: raftpb.Entry,
): Partial<Pick<VersionState, 'version' | 'target'>> | undefined {
  const { clusterVersionSet, downgradeInfoSet } = requestIn(entry) ?? {};
  if (clusterVersionSet !== undefined) return { version: clusterVersionSet.ver };
  if (downgradeInfoSet !== undefined) {
    return { target: downgradeInfoSet.enabled ? downgradeInfoSet.ver : '' };
  }
  // As releases up to 3.4 log it.
  const v2 = entry.type === 0 && entry.data.length > 0 ? v2RequestIn(entry.data) : undefined;
  const meaning = v2 && meaningOfV2Request(v2);
  if (meaning?.kind !== 'version') return undefined;
  return { version: formatStoredVersion(meaning.version) };
}
