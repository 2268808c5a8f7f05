// Writes histories by hand, for tests of the checkers.

import type { Change } from './change-log.ts';
import type {
  History,
  Operation,
  Outcome,
  Request,
  Result,
  StoredKey,
  Watch,
  WatchEvent,
  WatchRequest,
  WatchResponse,
} from './history.ts';

/** Milliseconds per unit of order: times and orders agree. */
export const MS_PER_ORDER = 10;

export function moment(order: number) {
  return { order, atMs: order * MS_PER_ORDER };
}

/** An operation from one order to another. */
export function operation(
  span: readonly [number, number],
  request: Request,
  outcome: Outcome,
  client = `c${span[0]}`,
): Operation {
  return { client, request, outcome, called: moment(span[0]), returned: moment(span[1]) };
}

export function ok(revision: number, result: Result): Outcome {
  return { kind: 'ok', revision, member: '1', term: 2, result };
}

export const refused = (error: string): Outcome => ({ kind: 'failed', error });
export const lost: Outcome = { kind: 'unknown', error: 'lost' };

export function historyOf(
  operations: readonly Operation[],
  watches: readonly Watch[] = [],
): History {
  return { command: 'by hand', operations, watches };
}

export function stored(key: string, value: string, changes: Partial<StoredKey> = {}): StoredKey {
  const modRevision = changes.modRevision ?? 2;
  return {
    key,
    value,
    createRevision: modRevision,
    modRevision,
    version: 1,
    lease: '0',
    ...changes,
  };
}

export function rangeResult(...kvs: readonly StoredKey[]): Result {
  return { kind: 'range', kvs, count: kvs.length, more: false };
}

export const put = (key: string, value: string): Request => ({ kind: 'put', key, value });
export const get = (key: string): Request => ({ kind: 'range', key });

/** A change as a row; without a value, a tombstone. */
export function change(
  revision: number,
  key: string,
  value?: string,
  more: Partial<Change> = {},
): Change {
  const none = { createRevision: 0, version: 0, lease: '0' };
  if (value === undefined) return { revision, key, value, ...none };
  return { revision, key, value, ...none, createRevision: revision, version: 1, ...more };
}

export function event(of: Change, prevKv?: StoredKey): WatchEvent {
  const { revision: modRevision, value = '', ...rest } = of;
  const kv = { ...rest, value, modRevision };
  const type = of.value === undefined ? 'delete' : 'put';
  return prevKv === undefined ? { type, kv } : { type, kv, prevKv };
}

export interface WatchParts {
  readonly request?: Partial<WatchRequest>;
  readonly created?: number;
  /** Events of each response, or the revision of a progress notification. */
  readonly responses: readonly (readonly WatchEvent[] | number)[];
  /** Responses that are fragments, by position. */
  readonly fragments?: readonly number[];
  readonly end?: Watch['end'];
  readonly from?: number;
}

const ALL = { key: '\0', end: '\0' };
const START = { key: '', startRevision: 2 };

/** A watch of all keys from revision 2 on, unless told otherwise. */
export function watchOf(parts: WatchParts): Watch {
  const from = parts.from ?? 100;
  return {
    client: 'w',
    request: { ...START, ...(parts.request?.key === undefined ? ALL : {}), ...parts.request },
    opened: moment(from),
    created: { at: moment(from), revision: parts.created ?? 1 },
    responses: parts.responses.map((each, i): WatchResponse => {
      const at = moment(from + 1 + i);
      if (typeof each === 'number') return { at, revision: each, events: [], fragment: false };
      const revision = each.at(-1)?.kv.modRevision ?? 0;
      return { at, revision, events: each, fragment: parts.fragments?.includes(i) ?? false };
    }),
    end: parts.end,
  };
}
