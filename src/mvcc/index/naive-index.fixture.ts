// A deliberately naive key index: every revision of every key in a list, every question answered by
// a walk over all of it.

import type { Random } from '../../base/index.ts';
import { FROM_KEY, rangeContains, SINGLE_KEY } from '../eval/key-range.ts';

export interface NaiveRevision {
  readonly key: string;
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
  readonly create: number;
  readonly version: number;
  readonly lease: number;
}

function before(a: NaiveRevision, b: NaiveRevision): number {
  return a.main - b.main || a.sub - b.sub;
}

export class NaiveIndex {
  revisions: NaiveRevision[] = [];

  at(key: string, rev: number): NaiveRevision | undefined {
    const newest = this.revisions
      .filter((r) => r.key === key && r.main <= rev)
      .sort(before)
      .at(-1);
    return newest === undefined || newest.tombstone ? undefined : newest;
  }

  put(key: string, main: number, sub: number, lease: number): NaiveRevision {
    const old = this.at(key, main);
    const create = old?.create ?? main;
    const version = (old?.version ?? 0) + 1;
    const added = { key, main, sub, tombstone: false, create, version, lease };
    this.revisions.push(added);
    return added;
  }

  tombstone(key: string, main: number, sub: number): boolean {
    if (this.at(key, main) === undefined) return false;
    this.revisions.push({ key, main, sub, tombstone: true, create: 0, version: 0, lease: 0 });
    return true;
  }

  range(key: string, rangeEnd: string, rev: number): NaiveRevision[] {
    const newest = new Map<string, NaiveRevision>();
    for (const revision of [...this.revisions].sort(before)) {
      if (revision.main <= rev && rangeContains(key, rangeEnd, revision.key)) {
        newest.set(revision.key, revision);
      }
    }
    return [...newest.values()]
      .filter((r) => !r.tombstone)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  since(key: string, rangeEnd: string, rev: number): NaiveRevision[] {
    return this.revisions
      .filter((r) => r.main >= rev && rangeContains(key, rangeEnd, r.key))
      .sort(before);
  }

  /** Returns what compaction drops, ascending. */
  compact(rev: number): NaiveRevision[] {
    const keep = new Set<NaiveRevision>(this.revisions.filter((r) => r.main > rev));
    for (const key of new Set(this.revisions.map((r) => r.key))) {
      const newest = this.revisions
        .filter((r) => r.key === key && r.main <= rev)
        .sort(before)
        .at(-1);
      if (newest !== undefined && (!newest.tombstone || newest.main === rev)) keep.add(newest);
    }
    const dropped = this.revisions.filter((r) => !keep.has(r)).sort(before);
    this.revisions = this.revisions.filter((r) => keep.has(r));
    return dropped;
  }
}

const PARTS = [
  '',
  '\0',
  '\x01',
  'a',
  'b',
  'aa',
  'ab',
  '/',
  '/registry/pods/',
  'zz',
  '\xfe',
  '\xff',
];

/** A key of up to `words` parts, many of which share beginnings; never empty. */
export function randomKey(random: Random, words: number): string {
  let key = '';
  for (let i = random.below(words) + 1; i > 0; i--) key += PARTS[random.below(PARTS.length)]!;
  return key === '' ? 'k' : key;
}

/** A range of any of the three kinds, some of them empty. */
export function randomRange(random: Random, words: number): readonly [string, string] {
  const key = randomKey(random, words);
  const kind = random.below(4);
  if (kind === 0) return [key, SINGLE_KEY];
  if (kind === 1) return [key, FROM_KEY];
  return [key, randomKey(random, words)];
}
