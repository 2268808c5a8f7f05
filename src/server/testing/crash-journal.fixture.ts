// What a member was asked and what it promised, in the order in which it happened, and the check of
// what is found after a crash against it. Deliberately naive.
//
// A prefix of the journal is what was promised at some moment of the run. Each key belongs to one
// writer, which has one request under way at a time.

import { invariant } from '../../base/index.ts';
import type { SimMember, StoredChange, StoredPair } from './sim-member.fixture.ts';

export interface Write {
  readonly key: string;
  /** Undefined: a deletion. */
  readonly value: string | undefined;
  readonly lease?: bigint;
}

/** What one request would change, all of it or nothing. */
export interface Attempt {
  readonly writes?: readonly Write[];
  /** Granted (a TTL) or revoked (undefined). */
  readonly lease?: { readonly id: bigint; readonly ttl: number | undefined };
  readonly compact?: number;
}

interface Hash {
  readonly revision: number;
  readonly compactRevision: number;
  readonly hash: number;
}

type Note =
  | { readonly kind: 'begin'; readonly attempt: Attempt }
  /** `revision` is the newest one when the request was applied. */
  | { readonly kind: 'acknowledge'; readonly attempt: Attempt; readonly revision: number }
  | { readonly kind: 'hash'; readonly hash: Hash };

export class Journal {
  readonly #notes: Note[] = [];

  /** A moment: everything noted so far. */
  get mark(): number {
    return this.#notes.length;
  }

  begin(attempt: Attempt): void {
    this.#notes.push({ kind: 'begin', attempt });
  }

  acknowledge(attempt: Attempt, revision: number): void {
    this.#notes.push({ kind: 'acknowledge', attempt, revision });
  }

  noteHash(hash: Hash): void {
    this.#notes.push({ kind: 'hash', hash });
  }

  until(mark: number): Promised {
    const promised = new Promised();
    for (const note of this.#notes.slice(0, mark)) promised.accept(note);
    return promised;
  }
}

interface Done {
  readonly attempt: Attempt;
  readonly revision: number;
}

type Changes = ReadonlyMap<string, string | undefined>;

/** What was promised at one moment. */
export class Promised {
  readonly #pending = new Set<Attempt>();
  readonly #done: Done[] = [];
  readonly #hashes: Hash[] = [];

  accept(note: Note): void {
    if (note.kind === 'begin') this.#pending.add(note.attempt);
    else if (note.kind === 'hash') this.#hashes.push(note.hash);
    else {
      invariant(this.#pending.delete(note.attempt), 'what is acknowledged was under way');
      this.#done.push(note);
    }
  }

  get acknowledgedCount(): number {
    return this.#done.length;
  }

  /** The highest revision that any answer has shown. */
  get newestRevision(): number {
    return Math.max(1, ...this.#done.map(({ revision }) => revision));
  }

  /** For each key the values that it may have: the last acknowledged one, and those under way. */
  possibleValues(): Map<string, (string | undefined)[]> {
    const values = new Map<string, (string | undefined)[]>();
    for (const { attempt } of [...this.#done].sort((a, b) => a.revision - b.revision)) {
      for (const { key, value } of attempt.writes ?? []) values.set(key, [value]);
    }
    for (const { writes = [] } of this.#pending) {
      for (const { key, value } of writes) {
        values.set(key, [...(values.get(key) ?? [undefined]), value]);
      }
    }
    return values;
  }

  /** Everything that is wrong with what a member has after a crash. */
  async check(found: SimMember): Promise<string[]> {
    const wrong: string[] = [];
    const { kv } = found.member.parts.store.machine;
    const { newestRevision } = this;
    if (found.revision < newestRevision) {
      wrong.push(`revision went back from ${newestRevision} to ${found.revision}`);
    }
    this.#checkCompaction(kv.compactedRev, wrong);
    const history = this.#checkHistory(kv.compactedRev, found.revision, found.changes(), wrong);
    checkPairs(history, found.pairs(), wrong);
    this.#checkLeases(found, wrong);
    for (const taken of this.#hashes) await checkHash(found, taken, wrong);
    wrong.push(...(await found.violations()));
    return wrong;
  }

  #checkCompaction(compactedRev: number, wrong: string[]): void {
    const done = this.#done.flatMap(({ attempt }) => attempt.compact ?? []);
    const open = [...this.#pending].flatMap((attempt) => attempt.compact ?? []);
    const least = Math.max(-1, ...done);
    if (compactedRev < least || (compactedRev > least && !open.includes(compactedRev))) {
      wrong.push(`compacted at ${compactedRev}; ${least} was acknowledged, ${open} under way`);
    }
  }

  /**
   * Every revision holds exactly what one request wrote. Returns the writes by revision, taken from
   * what is found and, where compaction removed it, from what was acknowledged.
   */
  #checkHistory(
    compactedRev: number,
    revision: number,
    changes: readonly StoredChange[],
    wrong: string[],
  ): Map<number, readonly Write[]> {
    const acknowledged = new Map<number, Attempt>();
    const history = new Map<number, readonly Write[]>();
    for (const { attempt, revision: at } of this.#done) {
      const { writes = [] } = attempt;
      // A request that changed nothing shows a revision that is another's.
      if (writes.length === 0 || changesNothing(writes, history)) continue;
      if (acknowledged.has(at)) wrong.push(`two requests were acknowledged at ${at}`);
      acknowledged.set(at, attempt);
      history.set(at, writes);
    }
    const byRevision = groupChanges(changes);
    const open = new Set(this.#pending);
    for (let at = Math.max(compactedRev, 1) + 1; at <= revision; at++) {
      const stored = byRevision.get(at) ?? new Map<string, string | undefined>();
      byRevision.delete(at);
      const attempt =
        acknowledged.get(at) ?? [...open].find(({ writes = [] }) => fits(stored, writes));
      if (attempt === undefined || !fits(stored, attempt.writes ?? [])) {
        wrong.push(`revision ${at} holds ${show(stored)}, expected ${showAttempt(attempt)}`);
        continue;
      }
      open.delete(attempt);
      history.set(at, attempt.writes ?? []);
    }
    for (const [at, stored] of byRevision) wrong.push(`a row beyond: ${at} ${show(stored)}`);
    return history;
  }

  #checkLeases(found: SimMember, wrong: string[]): void {
    const expected = new Map<bigint, number | undefined>();
    for (const { attempt } of this.#done) {
      if (attempt.lease !== undefined) expected.set(attempt.lease.id, attempt.lease.ttl);
    }
    const open = new Map<bigint, number | undefined>();
    for (const { lease } of this.#pending) if (lease !== undefined) open.set(lease.id, lease.ttl);
    const { lessor } = found.member.parts.store.machine.leases;
    const attached = new Map<bigint, string[]>();
    for (const { key, lease } of found.pairs()) {
      if (lease !== 0n) attached.set(lease, [...(attached.get(lease) ?? []), key]);
    }
    const leases = new Map(lessor.list().map((lease) => [lease.id, lease]));
    for (const id of new Set([...expected.keys(), ...leases.keys(), ...attached.keys()])) {
      const lease = leases.get(id);
      const ttl = lease?.ttlSec;
      if (ttl !== expected.get(id) && !(open.has(id) && ttl === open.get(id))) {
        wrong.push(`lease ${id}: TTL ${ttl}, expected ${expected.get(id)}`);
      }
      const keys = [...(lease?.keys.sorted() ?? [])].join();
      const should = (attached.get(id) ?? []).sort().join();
      if (keys !== should) wrong.push(`lease ${id}: holds ${keys}, its keys are ${should}`);
    }
  }
}

function groupChanges(
  changes: readonly StoredChange[],
): Map<number, Map<string, string | undefined>> {
  const groups = new Map<number, Map<string, string | undefined>>();
  for (const { revision, key, value } of changes) {
    const group = groups.get(revision) ?? new Map<string, string | undefined>();
    groups.set(revision, group.set(key, value));
  }
  return groups;
}

/** Whether exactly these writes are stored; a deletion of what was absent leaves no row. */
function fits(stored: Changes, writes: readonly Write[]): boolean {
  const keys = new Set(writes.map(({ key }) => key));
  if (stored.size === 0 || [...stored.keys()].some((key) => !keys.has(key))) return false;
  return writes.every(({ key, value }) =>
    value === undefined ? stored.get(key) === undefined : stored.get(key) === value,
  );
}

function changesNothing(
  writes: readonly Write[],
  history: ReadonlyMap<number, readonly Write[]>,
): boolean {
  if (writes.some(({ value }) => value !== undefined)) return false;
  const alive = new Set<string>();
  for (const at of [...history.keys()].sort((a, b) => a - b)) {
    for (const { key, value } of history.get(at)!) {
      if (value === undefined) alive.delete(key);
      else alive.add(key);
    }
  }
  return writes.every(({ key }) => !alive.has(key));
}

function show(changes: Changes): string {
  if (changes.size === 0) return 'nothing';
  return [...changes].map(([key, value]) => `${key}=${value?.slice(0, 20)}`).join(' ');
}

function showAttempt(attempt: Attempt | undefined): string {
  if (attempt === undefined) return 'something that was asked for';
  return show(new Map(attempt.writes?.map(({ key, value }) => [key, value])));
}

/** Plays the history and compares every field of every key. */
function checkPairs(
  history: ReadonlyMap<number, readonly Write[]>,
  found: readonly StoredPair[],
  wrong: string[],
): void {
  const expected = new Map<string, StoredPair>();
  for (const revision of [...history.keys()].sort((a, b) => a - b)) {
    for (const { key, value, lease = 0n } of history.get(revision)!) {
      if (value === undefined) {
        expected.delete(key);
        continue;
      }
      const before = expected.get(key);
      expected.set(key, {
        key,
        value,
        createRevision: before?.createRevision ?? revision,
        modRevision: revision,
        version: (before?.version ?? 0) + 1,
        lease,
      });
    }
  }
  const text = (pair: StoredPair | undefined) =>
    pair === undefined
      ? 'nothing'
      : `${pair.value.slice(0, 20)} created ${pair.createRevision} modified ${pair.modRevision} ` +
        `version ${pair.version} lease ${pair.lease}`;
  const stored = new Map(found.map((pair) => [pair.key, pair]));
  for (const key of new Set([...expected.keys(), ...stored.keys()])) {
    const [should, is] = [text(expected.get(key)), text(stored.get(key))];
    if (should !== is) wrong.push(`${key} is ${is}, expected ${should}`);
  }
}

async function checkHash(found: SimMember, taken: Hash, wrong: string[]): Promise<void> {
  const { compactedRev } = found.member.parts.store.machine.kv;
  if (compactedRev !== taken.compactRevision) return;
  const { hash } = await found.hashKv(taken.revision);
  if (hash !== taken.hash) {
    wrong.push(`HashKV at ${taken.revision} was ${taken.hash} and is ${hash}`);
  }
}
