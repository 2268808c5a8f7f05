// The requests of the comparison: a list of edge cases, then as many random ones as wanted.
//
// An operation is plain data, so that a failure prints it. Leases that keys are attached to have
// ids of our choice, since they are part of what HashKV hashes.

import type { Random } from '../../src/base/index.ts';
import type { Message, Value } from '../helpers/api.ts';

export type Operation =
  | { readonly kind: 'call'; readonly rpc: string; readonly request: Message }
  | { readonly kind: 'raw'; readonly rpc: string; readonly bytes: string }
  | { readonly kind: 'watch'; readonly request: Message }
  | { readonly kind: 'keepAlive'; readonly request: Message }
  | { readonly kind: 'hash'; readonly revision: string };

/** What the generator needs to know of the run so far to ask for relevant things. */
export interface Progress {
  revision: number;
  compacted: number;
  watches: number;
  /** Whether the last compaction is known to be finished: it was asked to wait for that. */
  compactionFinished: boolean;
  /**
   * Whether a watch may start at the very revision of the last compaction: 3.4 has removed a
   * deletion at that revision and never delivers it.
   */
  readonly watchesFromCompacted: boolean;
}

const INT64_MAX = '9223372036854775807';
const INT64_MIN = '-9223372036854775808';
const EXTREMES = [INT64_MAX, INT64_MIN, '-1', '9007199254740993', '-9007199254740993'] as const;

const KEYS = [
  ...['a', 'a/1', 'a/2', 'a/3', 'a0', 'a\0', 'b', 'c', 'k/1', 'k/2', 'k/3', 'k/4', 'k/5'],
  ...['\0', '\xff', '\xff\xff', '\xc3\xa9', 'z'],
] as const;

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.below(list.length)]!;
}

function chance(random: Random, percent: number): boolean {
  return random.below(100) < percent;
}

/** The smallest key above all that begin with `key`; `\0` if there is none. */
export function prefixEnd(key: string): string {
  for (let i = key.length - 1; i >= 0; i--) {
    const char = key.charCodeAt(i);
    if (char < 0xff) return key.slice(0, i) + String.fromCharCode(char + 1);
  }
  return '\0';
}

function key(random: Random): string {
  return chance(random, 1) ? '' : pick(random, KEYS);
}

function rangeEnd(random: Random, from: string): string {
  const kind = random.below(10);
  if (kind < 3) return '';
  if (kind < 5) return prefixEnd(from);
  if (kind < 6) return prefixEnd('a');
  if (kind < 7) return '\0';
  if (kind < 8) return `${from}\0`;
  return pick(random, KEYS);
}

function value(random: Random): string {
  const kind = random.below(12);
  if (kind === 0) return '';
  if (kind === 1) return '\0\xff\n';
  if (kind === 2) return 'x'.repeat(random.below(5000));
  return `v${random.below(30)}`;
}

/** Mostly one that exists. */
function revision(random: Random, progress: Progress): string {
  const kind = random.below(20);
  if (kind === 0) return pick(random, EXTREMES);
  if (kind === 1) return String(progress.revision + 1 + random.below(3));
  if (kind === 2) return String(progress.compacted);
  const live = progress.revision - progress.compacted;
  return String(progress.compacted + random.below(live + 1));
}

function bound(random: Random, progress: Progress): string {
  return chance(random, 15) ? pick(random, EXTREMES) : String(random.below(progress.revision + 3));
}

const LEASE_FIRST = 1000;
const LEASE_COUNT = 8;

function lease(random: Random): string {
  if (chance(random, 10)) return pick(random, ['77777', '-5', INT64_MIN]);
  return String(LEASE_FIRST + random.below(LEASE_COUNT));
}

function putRequest(random: Random): Message {
  const ignoreValue = chance(random, 6);
  const ignoreLease = chance(random, 6);
  return {
    key: key(random),
    value: ignoreValue && !chance(random, 10) ? '' : value(random),
    lease: (ignoreLease ? chance(random, 10) : chance(random, 20)) ? lease(random) : '0',
    prev_kv: chance(random, 30),
    ignore_value: ignoreValue,
    ignore_lease: ignoreLease,
  };
}

function rangeRequest(random: Random, progress: Progress): Message {
  const some = (percent: number, make: () => Value): Value =>
    chance(random, percent) ? make() : undefined;
  const limit = (): string =>
    chance(random, 20) ? pick(random, EXTREMES) : String(random.below(12));
  return {
    ...(chance(random, 40) ? sortedRange(random) : plainRange(random)),
    limit: some(30, limit),
    revision: some(35, () => revision(random, progress)),
    serializable: chance(random, 30),
    keys_only: chance(random, 15),
    count_only: chance(random, 15),
    min_mod_revision: some(12, () => bound(random, progress)),
    max_mod_revision: some(12, () => bound(random, progress)),
    min_create_revision: some(12, () => bound(random, progress)),
    max_create_revision: some(12, () => bound(random, progress)),
  };
}

function plainRange(random: Random): Message {
  const from = chance(random, 10) ? '\0' : key(random);
  const range_end = chance(random, 10) ? '\0' : rangeEnd(random, from);
  return { key: from, range_end, sort_order: random.below(3) };
}

/**
 * Of at most twelve keys: how etcd orders more that are equal in the sorted field depends on the
 * release of the Go library that built it.
 */
function sortedRange(random: Random): Message {
  const [from, range_end] = pick(random, [
    ['a', 'b'],
    ['a', 'd'],
    ['k/', 'k0'],
    ['b', 'k/4'],
  ] as const);
  return { key: from, range_end, sort_order: random.below(3), sort_target: random.below(5) };
}

function deleteRequest(random: Random): Message {
  const from = key(random);
  const wide = chance(random, 25);
  return {
    key: from,
    range_end: wide ? rangeEnd(random, from) : '',
    prev_kv: chance(random, 40),
  };
}

function compare(random: Random, progress: Progress): Message {
  const from = key(random);
  const target = chance(random, 3) ? pick(random, [5, -1]) : random.below(5);
  // Now and then the value is given for another target than the named one, or not at all.
  const given = chance(random, 8) ? random.below(6) : target;
  const operand: Message =
    given === 0
      ? { version: chance(random, 20) ? pick(random, EXTREMES) : String(random.below(4)) }
      : given === 1
        ? { create_revision: bound(random, progress) }
        : given === 2
          ? { mod_revision: bound(random, progress) }
          : given === 3
            ? { value: value(random) }
            : given === 4
              ? { lease: chance(random, 50) ? '0' : lease(random) }
              : {};
  return {
    result: chance(random, 3) ? pick(random, [4, -1]) : random.below(4),
    target,
    key: from,
    range_end: chance(random, 25) ? rangeEnd(random, from) : '',
    ...operand,
  };
}

function operation(random: Random, progress: Progress, depth: number): Message {
  const kind = random.below(20);
  if (kind < 7) return { request_put: putRequest(random) };
  if (kind < 13) {
    // Without keys_only, whose result differs in a field between releases (see the known ones).
    return { request_range: { ...rangeRequest(random, progress), keys_only: false } };
  }
  if (kind < 17) return { request_delete_range: deleteRequest(random) };
  if (kind < 19 && depth > 0) return { request_txn: txnRequest(random, progress, depth - 1) };
  return chance(random, 5) ? {} : { request_put: putRequest(random) };
}

function txnRequest(random: Random, progress: Progress, depth: number): Message {
  const list = (count: number): Message[] =>
    Array.from({ length: count }, () => operation(random, progress, depth));
  return {
    compare: Array.from({ length: random.below(3) }, () => compare(random, progress)),
    success: list(random.below(4)),
    failure: list(random.below(3)),
  };
}

/** Not negative: 3.7 refuses that where older releases give the watch the next id. */
function startRevision(random: Random, progress: Progress): string {
  const start = revision(random, progress);
  if (start.startsWith('-')) return '1';
  const avoid = !progress.watchesFromCompacted && start === String(progress.compacted);
  return avoid ? String(progress.compacted + 1) : start;
}

const FILTERS = [[0], [1], [0, 1], [7], [1, 1]] as const;
/** Those that let puts through, see `followUp`. */
const PUT_FILTERS = [[1], [7], [1, 1]] as const;

/**
 * What must come right after a watch from the past: an event in its range. Its arrival tells that
 * the watch has caught up; a compaction before that might cancel it or not.
 */
export function followUp(operation: Operation): Operation | undefined {
  if (operation.kind !== 'watch') return undefined;
  const create = operation.request['create_request'] as Message | undefined;
  if (create === undefined || (create['start_revision'] ?? '0') === '0') return undefined;
  const key = create['key'] === '' ? '\0' : create['key'];
  return { kind: 'call', rpc: 'KV/Put', request: { key, value: 'follow-up' } };
}

function watchRequest(random: Random, progress: Progress): Message {
  if (progress.watches > 0 && chance(random, 30)) {
    const id = chance(random, 8)
      ? pick(random, EXTREMES)
      : String(random.below(progress.watches + 2));
    return { cancel_request: { watch_id: id } };
  }
  const from = chance(random, 15) ? '\0' : key(random);
  const start = random.below(10);
  const past = start >= 5 && start < 9;
  return {
    create_request: {
      key: from,
      range_end: chance(random, 15) ? '\0' : rangeEnd(random, from),
      start_revision:
        start < 5
          ? '0'
          : start < 9
            ? startRevision(random, progress)
            : String(progress.revision + random.below(20)),
      progress_notify: chance(random, 20),
      filters: chance(random, 25) ? pick(random, past ? PUT_FILTERS : FILTERS) : [],
      prev_kv: chance(random, 40),
      watch_id: chance(random, 25) ? pick(random, ['3', '17', '1000', INT64_MAX, '-7', '-1']) : '0',
      fragment: chance(random, 20),
    },
  };
}

function leaseOperation(random: Random): Operation {
  const kind = random.below(12);
  if (kind < 5) {
    // Never so short that it expires during the run.
    const ttl = chance(random, 12)
      ? pick(random, [INT64_MAX, '9000000000', '9000000001'])
      : '100000';
    const id = chance(random, 10) ? '0' : String(LEASE_FIRST + random.below(LEASE_COUNT));
    return { kind: 'call', rpc: 'Lease/LeaseGrant', request: { TTL: ttl, ID: id } };
  }
  const id = lease(random);
  if (kind < 7) return { kind: 'call', rpc: 'Lease/LeaseRevoke', request: { ID: id } };
  if (kind < 10) {
    const request = { ID: id, keys: chance(random, 60) };
    return { kind: 'call', rpc: 'Lease/LeaseTimeToLive', request };
  }
  if (kind < 11) return { kind: 'keepAlive', request: { ID: id } };
  return { kind: 'call', rpc: 'Lease/LeaseLeases', request: {} };
}

/** At the revision of a compaction the answer changes when that is finished. */
function hashOperation(random: Random, progress: Progress): Operation {
  const at = chance(random, 50) ? '0' : revision(random, progress);
  const unsettled = at === String(progress.compacted) && !progress.compactionFinished;
  return { kind: 'hash', revision: unsettled ? '0' : at };
}

/** The next random operation; the same random numbers and progress give the same one. */
export function randomOperation(random: Random, progress: Progress): Operation {
  const kind = random.below(100);
  const call = (rpc: string, request: Message): Operation => ({ kind: 'call', rpc, request });
  if (kind < 28) return call('KV/Put', putRequest(random));
  if (kind < 52) return call('KV/Range', rangeRequest(random, progress));
  if (kind < 62) return call('KV/DeleteRange', deleteRequest(random));
  if (kind < 82) return call('KV/Txn', txnRequest(random, progress, 3));
  if (kind < 84) {
    const old = String(
      progress.compacted + random.below(progress.revision - progress.compacted + 1),
    );
    const at = chance(random, 20) ? revision(random, progress) : old;
    return call('KV/Compact', { revision: at, physical: chance(random, 50) });
  }
  if (kind < 91) return leaseOperation(random);
  if (kind < 98) return { kind: 'watch', request: watchRequest(random, progress) };
  return hashOperation(random, progress);
}
