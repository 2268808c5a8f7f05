// Which pages a commit may overwrite.
//
// A page freed by commit T is still reachable from every meta page and every snapshot before T. The
// writer W overwrites pages while the metas of commits W-1 and W-2 are on disk. So W may use it if
//
//   T <= W - 2       neither meta page reaches it, so that falling back to the older one is sound
//   T <= oldest      no reader of a commit before T is left
//
// Until then it is pending. (bbolt frees it one commit earlier, and then a damaged newest meta page
// can leave an older one whose pages are half overwritten.) Pages that were found free when the file
// was opened at commit M count as freed by M.
//
// A page is in at most one place: a tree, the free set, one pending list, or `taken`.

import { invariant, verify } from '../../base/index.ts';
import { FREELIST_LARGE_COUNT, PAGE_HEADER_SIZE, PAGE_ID_SIZE } from './layout.ts';
import type { PageSet } from './page-set.ts';

/** Page runs as start, count, start, count, ... */
export type PageRuns = number[];

/** Appends a run, joined with the last one where they touch. */
export function pushRun(runs: PageRuns, start: number, count: number): void {
  invariant(start >= 2, 'the meta pages are never free');
  invariant(count >= 1, 'a run has a page');
  const last = runs.length - 2;
  if (last >= 0 && runs[last]! + runs[last + 1]! === start) runs[last + 1]! += count;
  else runs.push(start, count);
}

export function countRuns(runs: PageRuns): number {
  let count = 0;
  for (let i = 1; i < runs.length; i += 2) count += runs[i]!;
  return count;
}

interface Pending {
  /** The commit that freed them. */
  readonly txid: number;
  readonly runs: PageRuns;
}

/** Lengths of the runs to look for: many pages want to be written side by side. */
const RUN_LENGTHS = [32, 8, 1] as const;

export class Freelist {
  readonly #free: PageSet;
  /** First writer that may use the pages that were free at opening. */
  readonly #usableFrom: number;
  /** Ascending by txid. */
  readonly #pending: Pending[] = [];
  /** What the current writer has taken from `free`; returned by `rollback`. */
  #taken: PageRuns = [];
  #writerTxid = 0;
  /** The run that single pages are being taken from: [runNext, runEnd), still in `free`. */
  #runNext = 0;
  #runEnd = 0;
  /** Per entry of RUN_LENGTHS: no such run begins below. Infinity: none is left. */
  readonly #searchFrom = [0, 0, 0];
  /** No run of this length or longer is left. */
  #missingLength = Number.POSITIVE_INFINITY;
  #longFrom = 0;
  #longLength = 0;

  /**
   * `free` is what the trees do not reach at commit `txid`, the state the file was opened at. The
   * pages of a free list in the file are among them: they are not needed again.
   */
  constructor(free: PageSet, txid: number) {
    this.#free = free;
    this.#usableFrom = txid + 2;
  }

  /** Pages that are free, some perhaps not yet usable; those taken by the writer are not. */
  get freeCount(): number {
    return this.#free.count;
  }

  get pendingCount(): number {
    let count = 0;
    for (const { runs } of this.#pending) count += countRuns(runs);
    return count;
  }

  /** Frees what no meta page and no reader reaches any more, for the writer `txid`. */
  release(txid: number, oldestReader: number): void {
    invariant(txid > (this.#pending.at(-1)?.txid ?? 0), 'a writer follows the commits that freed');
    invariant(this.#taken.length === 0, 'pages are released between writers');
    let released = 0;
    while (released < this.#pending.length) {
      const { txid: freedBy, runs } = this.#pending[released]!;
      if (freedBy > txid - 2 || freedBy > oldestReader) break;
      addAll(this.#free, runs);
      released++;
    }
    this.#pending.splice(0, released);
    invariant(
      this.#pending.every(({ txid: freedBy }) => freedBy > txid - 2 || freedBy > oldestReader),
      'what stays pending is reached by a meta page or by a reader',
    );
  }

  /** Begins the allocations of writer `txid`, which expects to need that many pages. */
  begin(txid: number, pagesExpected: number): void {
    invariant(this.#taken.length === 0, 'one writer allocates at a time');
    invariant(txid >= this.#writerTxid, 'writers come in order');
    this.#writerTxid = txid;
    this.#runNext = 0;
    this.#runEnd = 0;
    for (let i = 0; i < RUN_LENGTHS.length; i++) {
      this.#searchFrom[i] = RUN_LENGTHS[i]! <= pagesExpected ? 0 : Number.POSITIVE_INFINITY;
    }
    this.#searchFrom[RUN_LENGTHS.length - 1] = 0;
    this.#missingLength = Number.POSITIVE_INFINITY;
    this.#longFrom = 0;
    this.#longLength = 0;
  }

  /** `count` pages side by side: the id of the first, or 0 if there are none. */
  allocate(count: number): number {
    invariant(count >= 1, 'an allocation has a page');
    if (this.#writerTxid < this.#usableFrom || this.#free.count < count) return 0;
    const free = this.#free.count;
    const start = count === 1 ? this.#allocateOne() : this.#allocateLong(count);
    if (start > 0) pushRun(this.#taken, start, count);
    invariant(
      this.#free.count === (start > 0 ? free - count : free),
      'pages that are taken are no longer free',
    );
    return start;
  }

  /** The writer's commit is on disk: what it took is in use, what it freed is pending. */
  commit(txid: number, freed: PageRuns): void {
    invariant(txid > (this.#pending.at(-1)?.txid ?? 0), 'commits come in order');
    invariant(txid === this.#writerTxid, 'a commit ends the allocations that it began');
    if (verify.all) {
      const unused = this.unused();
      forEachPage(freed, (id) => invariant(unused.add(id), 'a page that is freed was in use'));
      forEachPage(this.#taken, (id) =>
        invariant(!unused.has(id), 'a page that is taken is in use'),
      );
    }
    this.#taken = [];
    if (freed.length > 0) this.#pending.push({ txid, runs: freed });
  }

  /** The writer failed before its meta page was written: what it took is free again. */
  rollback(): void {
    const taken = this.#taken;
    this.#taken = [];
    const free = this.#free.count;
    addAll(this.#free, taken);
    invariant(this.#free.count === free + countRuns(taken), 'what was taken is free again');
  }

  /** What the current commit leaves unused, except for the pages that it frees: free and pending ones. */
  unused(): PageSet {
    const all = this.#free.clone();
    for (const { runs } of this.#pending) addAll(all, runs);
    invariant(
      all.count === this.freeCount + this.pendingCount,
      'an unused page is free or pending',
    );
    return all;
  }

  /** What the trees of the last commit do not reach, even while a writer is taking pages. */
  unusedByLastCommit(): PageSet {
    const all = this.unused();
    addAll(all, this.#taken);
    return all;
  }

  #allocateOne(): number {
    for (;;) {
      if (this.#runNext < this.#runEnd) {
        const id = this.#runNext++;
        // A longer allocation may have taken it since.
        if (this.#free.delete(id)) return id;
        continue;
      }
      if (!this.#findRun()) return 0;
    }
  }

  #findRun(): boolean {
    for (let i = 0; i < RUN_LENGTHS.length; i++) {
      const from = this.#searchFrom[i]!;
      if (from === Number.POSITIVE_INFINITY) continue;
      const length = RUN_LENGTHS[i]!;
      const start = this.#free.findRun(length, from, true);
      if (start >= 0) {
        this.#runNext = start;
        this.#runEnd = start + length;
        this.#searchFrom[i] = this.#runEnd;
        return true;
      }
      this.#searchFrom[i] = Number.POSITIVE_INFINITY;
    }
    return false;
  }

  #allocateLong(count: number): number {
    if (count >= this.#missingLength) return 0;
    // Below `longFrom` no run of `longLength` is left, hence none of a greater length.
    const from = count >= this.#longLength ? this.#longFrom : 0;
    const start = this.#free.findRun(count, from, false);
    if (start < 0) {
      this.#missingLength = count;
      return 0;
    }
    invariant(start >= from && start >= 2, 'a run is found where it was looked for');
    this.#longFrom = start + count;
    this.#longLength = count;
    for (let id = start; id < start + count; id++) {
      invariant(this.#free.delete(id), 'a free run is free');
    }
    return start;
  }
}

/** Adds pages that are in no list yet. */
export function addAll(set: PageSet, runs: PageRuns): void {
  forEachPage(runs, (id) => invariant(set.add(id), 'an unused page is in one list only'));
}

function forEachPage(runs: PageRuns, visit: (id: number) => void): void {
  for (let i = 0; i < runs.length; i += 2) {
    const end = runs[i]! + runs[i + 1]!;
    for (let id = runs[i]!; id < end; id++) visit(id);
  }
}

/** Bytes that a free-list page needs for that many ids. */
export function freelistSize(count: number): number {
  const ids = count < FREELIST_LARGE_COUNT ? count : count + 1;
  return PAGE_HEADER_SIZE + ids * PAGE_ID_SIZE;
}
