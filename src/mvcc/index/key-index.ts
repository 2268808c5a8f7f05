// The key index: for every key of the store, which revisions it has that compaction left.
//
// A key's newest revision stands in its slot of a leaf; older ones are a chain in the history.
// A revision is a put or a tombstone. Several revisions may share a main revision (one transaction
// puts and deletes a key); the one with the largest sub counts.
//
// Worked example: put at 2.0, put at 4.1, tombstone at 5.0, put at 7.0.
//
//   slot     main 7 create 7 version 1
//   history  5.0 tombstone --> 4.1 (create 2, version 2) --> 2.0 (create 2, version 1)
//
//   get at 1: nothing.  at 2, 3: 2.0.  at 4: 4.1.  at 5, 6: nothing.  from 7 on: 7.0.
//   compaction at 3 drops nothing, at 4: 2.0, at 5: also 4.1, at 6: also 5.0.
//   (A tombstone exactly at the compacted revision stays, as etcd since 3.5.16 has it.)
//
// Reading at a revision needs no snapshot: a writer only adds newer revisions. A reader that is
// pinned to revision R keeps compaction away: the index must not be compacted above R until the pin
// is released. That is the store's duty (`startCompaction` says so); reads below `compactedRev` are
// refused by an invariant.

import { invariant, type Revision, verify } from '../../base/index.ts';
import { FROM_KEY, SINGLE_KEY } from '../eval/key-range.ts';
import { CURSOR_LEAVES_MAX } from '../limits.ts';
import type { KeyState } from '../types.ts';
import { ChangeLog } from './change-log.ts';
import { checkIndex, describeKeyIndex } from './check-index.ts';
import { History, packSub } from './history.ts';
import { IndexCompaction } from './index-compaction.ts';
import { IndexCursor } from './index-cursor.ts';
import { KeyTree } from './key-tree.ts';
import {
  F_CREATE,
  F_MAIN,
  F_VERSION,
  FLOATS,
  I_LEASE,
  I_SUB,
  INTEGERS,
  type Leaf,
} from './leaf.ts';
import { LeafBlocks } from './leaf-blocks.ts';
import { RangeTombstone } from './range-tombstone.ts';

/** Answer of {@link KeyIndex.tombstone}: the key is not alive. */
export const NOT_ALIVE = -1;

export class KeyIndex {
  /** Parts of the index that its cursor and compaction use too; no other file touches them. */
  readonly tree: KeyTree = new KeyTree();
  readonly history: History = new History();
  readonly changes: ChangeLog = new ChangeLog();
  readonly blocks: LeafBlocks = new LeafBlocks();

  /** Reads below this revision are no longer possible; -1 before any compaction. */
  compactedRev: Revision = -1;
  /** Keys with at least one revision, dead ones that are not compacted included. */
  keyCount = 0;

  /** The deletion of a range whose keys do not have all their tombstones yet. */
  rangeTombstone: RangeTombstone | undefined = undefined;

  /** The running compaction. */
  compaction: IndexCompaction | undefined = undefined;

  /** Main revision of the newest change. */
  newestRev: Revision = 0;

  /** Keys that exist at the newest revision. */
  get liveCount(): number {
    return this.tree.liveCount - this.#doomed('', FROM_KEY);
  }

  #doomed(key: string, rangeEnd: string): number {
    return this.rangeTombstone === undefined ? 0 : this.rangeTombstone.count(key, rangeEnd);
  }

  #isDoomed(leaf: Leaf, slot: number, atRev: Revision): boolean {
    const deletion = this.rangeTombstone;
    if (deletion === undefined || atRev < deletion.main) return false;
    return deletion.dooms(leaf.keys[slot]!, leaf.floats[slot * FLOATS + F_MAIN]!);
  }

  /** Revisions in the index. */
  get revisionCount(): number {
    return this.keyCount + this.history.used;
  }

  /**
   * What `key` says at the newest revision at or before `atRev`; false if it does not exist then.
   * O(log keys + log revisions of the key).
   */
  get(key: string, atRev: Revision, into: KeyState): boolean {
    invariant(atRev >= this.compactedRev, 'a read is not below the compacted revision');
    const { tree } = this;
    return tree.locate(key) && this.stateAt(tree.leaf, tree.leaf.slotAt(tree.rank), atRev, into);
  }

  /** {@link get} for a slot that is known already. */
  stateAt(leaf: Leaf, slot: number, atRev: Revision, into: KeyState): boolean {
    const { floats, integers } = leaf;
    const f = slot * FLOATS;
    const i = slot * INTEGERS;
    into.leaseSlot = integers[i + I_LEASE]!;
    if (floats[f + F_MAIN]! <= atRev) {
      const packed = integers[i + I_SUB]!;
      into.modMain = floats[f + F_MAIN]!;
      into.modSub = packed >>> 1;
      into.createMain = floats[f + F_CREATE]!;
      into.version = floats[f + F_VERSION]!;
      if (this.rangeTombstone !== undefined && this.#isDoomed(leaf, slot, atRev)) return false;
      return (packed & 1) === 0;
    }
    const { history } = this;
    const handle = history.find(leaf.head(slot), atRev);
    if (handle === 0) return false;
    const packed = history.packedSub(handle);
    into.modMain = history.main(handle);
    into.modSub = packed >>> 1;
    into.createMain = history.createMain(handle);
    into.version = history.version(handle);
    return (packed & 1) === 0;
  }

  /**
   * Keys of the range that exist at `atRev`. O(log keys + creations and deletions since `atRev`);
   * only for a revision before the change log's floor it walks the keys.
   */
  count(key: string, rangeEnd: string, atRev: Revision): number {
    invariant(atRev >= this.compactedRev, 'a read is not below the compacted revision');
    if (rangeEnd === SINGLE_KEY) return this.get(key, atRev, this.#scratch) ? 1 : 0;
    if (rangeEnd !== FROM_KEY && rangeEnd <= key) return 0;
    if (atRev < this.changes.floorRev) return this.#countByWalking(key, rangeEnd, atRev);
    const { tree } = this;
    const end = rangeEnd === FROM_KEY ? tree.liveCount : tree.liveBefore(rangeEnd);
    const live = end - tree.liveBefore(key);
    if (atRev >= this.newestRev) return live - this.#doomed(key, rangeEnd);
    const then = live - this.changes.changeSince(key, rangeEnd, atRev);
    // Before a deletion its doomed keys live, and the log has no change of theirs.
    const { rangeTombstone } = this;
    return rangeTombstone === undefined || atRev < rangeTombstone.main
      ? then
      : then - rangeTombstone.count(key, rangeEnd);
  }

  readonly #scratch: KeyState = {
    modMain: 0,
    modSub: 0,
    createMain: 0,
    version: 0,
    leaseSlot: 0,
  };

  #countByWalking(key: string, rangeEnd: string, atRev: Revision): number {
    const cursor = this.cursor();
    cursor.open(key, rangeEnd, atRev);
    let count = 0;
    while (cursor.next()) count++;
    return count;
  }

  /** Keys of `[key, rangeEnd)` that have a lease now; O(log keys). */
  leasedCount(key: string, rangeEnd: string): number {
    const { tree } = this;
    if (rangeEnd !== FROM_KEY && rangeEnd <= key) return 0;
    const end = rangeEnd === FROM_KEY ? tree.leasedCount : tree.leasedBefore(rangeEnd);
    return end - tree.leasedBefore(key);
  }

  /**
   * Takes their leases off the keys of `[key, rangeEnd)`, which are about to be deleted, and passes on each
   * key with the slot of its lease, in order; O(log keys) for each.
   */
  releaseLeases(
    key: string,
    rangeEnd: string,
    released: (key: string, leaseSlot: number) => void,
  ): void {
    const { tree } = this;
    const before = tree.leasedBefore(key);
    for (let left = this.leasedCount(key, rangeEnd); left > 0; left--) {
      tree.locateLeased(before);
      const slot = tree.leaf.slotAt(tree.rank);
      const leaseSlot = tree.leaf.integers[slot * INTEGERS + I_LEASE]!;
      tree.leaf.integers[slot * INTEGERS + I_LEASE] = 0;
      this.#setLeased(leaseSlot, 0);
      released(tree.leaf.keys[slot]!, leaseSlot);
    }
  }

  /** A reader of ranges; it may be opened again and again. */
  cursor(): IndexCursor {
    return new IndexCursor(this);
  }

  /** A {@link cursor} that pauses rather than look through many keys that do not exist. */
  pausingCursor(): IndexCursor {
    const cursor = new IndexCursor(this);
    cursor.leavesMax = CURSOR_LEAVES_MAX;
    return cursor;
  }

  /**
   * Puts a key at a revision above every one before. Fills `into` with what the key says now, except
   * that `leaseSlot` is the one the key had before (0 if it did not exist).
   */
  put(key: string, main: Revision, sub: number, leaseSlot: number, into: KeyState): void {
    const packed = packSub(sub, false);
    let createMain = main;
    let version = 1;
    into.leaseSlot = 0;
    if (this.tree.locate(key)) {
      const { leaf } = this.tree;
      const slot = leaf.slotAt(this.tree.rank);
      if (this.rangeTombstone !== undefined) this.#bury(leaf, slot, main);
      const wasLive = leaf.isLive(slot);
      if (wasLive) {
        createMain = leaf.floats[slot * FLOATS + F_CREATE]!;
        version = leaf.floats[slot * FLOATS + F_VERSION]! + 1;
        into.leaseSlot = leaf.integers[slot * INTEGERS + I_LEASE]!;
      }
      this.#supersede(leaf, slot, main, packed);
      leaf.setNewest(slot, main, packed, createMain, version, leaseSlot);
      this.#setLeased(into.leaseSlot, leaseSlot);
      if (!wasLive) this.#setLive(leaf, 1);
      if (!wasLive) this.#log(key, main, 1);
    } else {
      this.#insert(key, main, packed, createMain, version, leaseSlot);
      this.#log(key, main, 1);
    }
    this.newestRev = main;
    into.modMain = main;
    into.modSub = sub;
    into.createMain = createMain;
    into.version = version;
  }

  /** A doomed key is about to be put again: it gets its tombstone before. */
  #bury(leaf: Leaf, slot: number, main: Revision): void {
    if (!leaf.isLive(slot) || !this.#isDoomed(leaf, slot, main)) return;
    this.tombstoneLate(leaf, slot, this.rangeTombstone!.main, 0);
    this.#setLive(leaf, -1);
  }

  /**
   * Deletes a key at a revision above every one before. Returns the lease slot that the key had, or
   * {@link NOT_ALIVE} without any effect if it does not exist.
   */
  tombstone(key: string, main: Revision, sub: number): number {
    if (!this.tree.locate(key)) return NOT_ALIVE;
    const { leaf } = this.tree;
    const slot = leaf.slotAt(this.tree.rank);
    if (!leaf.isLive(slot) || this.#isDoomed(leaf, slot, main)) return NOT_ALIVE;
    const leaseSlot = leaf.integers[slot * INTEGERS + I_LEASE]!;
    const packed = packSub(sub, true);
    this.#supersede(leaf, slot, main, packed);
    leaf.setNewest(slot, main, packed, 0, 0, 0);
    this.#setLeased(leaseSlot, 0);
    this.#setLive(leaf, -1);
    this.#log(key, main, -1);
    this.newestRev = main;
    return leaseSlot;
  }

  /**
   * Deletes all keys of a range at `main`, which consists of nothing else: reads from `main` on find none
   * at once. The returned object gives them their tombstones, in slices, between which writes and reads go
   * on. One is finished before the next begins, and before a compaction at `main` or above. No key of the
   * range has a lease; what asks for the revisions of keys ({@link revisionsOfKey}) waits.
   */
  startRangeTombstone(key: string, rangeEnd: string, main: Revision): RangeTombstone {
    invariant(this.rangeTombstone === undefined, 'one deletion is finished before the next');
    invariant(rangeEnd !== SINGLE_KEY, 'a range is deleted');
    invariant(main > this.newestRev, 'revisions only grow');
    this.changes.beginLate(main);
    this.newestRev = main;
    this.rangeTombstone = new RangeTombstone(this, key, rangeEnd, main);
    return this.rangeTombstone;
  }

  /** A doomed key gets its tombstone; the caller corrects the counts of live keys. */
  tombstoneLate(leaf: Leaf, slot: number, main: Revision, sub: number): void {
    invariant(leaf.integers[slot * INTEGERS + I_LEASE] === 0, 'keys of leases are deleted at once');
    const packed = packSub(sub, true);
    this.#supersede(leaf, slot, main, packed);
    leaf.setNewest(slot, main, packed, 0, 0, 0);
    this.changes.appendLate(leaf.keys[slot]!);
  }

  /** For {@link RangeTombstone}: every key has its tombstone. */
  endRangeTombstone(): void {
    this.changes.endLate();
    this.rangeTombstone = undefined;
    this.verify();
  }

  /**
   * Takes over one row of the backend at boot; rows come in revision order. A tombstone's
   * `createMain`, `version` and `leaseSlot` are ignored. Tombstones of keys that are unknown or dead
   * are kept until compaction, so that every row of the backend is in the index.
   */
  restoreRow(
    key: string,
    main: Revision,
    sub: number,
    tombstone: boolean,
    createMain: Revision,
    version: number,
    leaseSlot: number,
  ): void {
    const packed = packSub(sub, tombstone);
    const isKnown = this.tree.locate(key);
    const delta = this.placeRow(isKnown, key, main, packed, createMain, version, leaseSlot);
    this.logRestored(key, main, delta);
  }

  /**
   * The part of {@link restoreRow} that needs revision order among the rows of one key only, once the key
   * was located. Returns what is to be logged: 1 if the key came to life, -1 if it died, else 0.
   */
  placeRow(
    isKnown: boolean,
    key: string,
    main: Revision,
    packed: number,
    createMain: Revision,
    version: number,
    leaseSlot: number,
  ): 1 | 0 | -1 {
    const tombstone = (packed & 1) !== 0;
    const create = tombstone ? 0 : createMain;
    const puts = tombstone ? 0 : version;
    const lease = tombstone ? 0 : leaseSlot;
    if (!isKnown) {
      this.#insert(key, main, packed, create, puts, lease);
      return tombstone ? 0 : 1;
    }
    const { leaf } = this.tree;
    const slot = leaf.slotAt(this.tree.rank);
    const wasLive = leaf.isLive(slot);
    const leaseBefore = leaf.integers[slot * INTEGERS + I_LEASE]!;
    this.#supersede(leaf, slot, main, packed);
    leaf.setNewest(slot, main, packed, create, puts, lease);
    this.#setLeased(leaseBefore, lease);
    if (wasLive !== tombstone) return 0;
    const delta = wasLive ? -1 : 1;
    this.#setLive(leaf, delta);
    return delta;
  }

  /** The other part, in revision order. */
  logRestored(key: string, main: Revision, delta: 1 | 0 | -1): void {
    if (delta !== 0) this.#log(key, main, delta);
    this.newestRev = main;
  }

  /** Moves the newest revision of a slot into its history, since (main, packed) comes. */
  #supersede(leaf: Leaf, slot: number, main: Revision, packed: number): void {
    const { floats, integers } = leaf;
    const f = slot * FLOATS;
    const oldMain = floats[f + F_MAIN]!;
    const oldPacked = integers[slot * INTEGERS + I_SUB]!;
    invariant(
      main > oldMain || (main === oldMain && packed >>> 1 > oldPacked >>> 1),
      'revisions of a key only grow',
    );
    const handle = this.history.push(
      oldMain,
      oldPacked,
      floats[f + F_CREATE]!,
      floats[f + F_VERSION]!,
      leaf.head(slot),
    );
    leaf.setHead(slot, handle);
  }

  #insert(
    key: string,
    main: Revision,
    packed: number,
    createMain: Revision,
    version: number,
    leaseSlot: number,
  ): void {
    this.tree.makeRoom(key);
    const { leaf, rank } = this.tree;
    const slot = leaf.insertKey(rank, key);
    leaf.setNew(slot, main, packed, createMain, version, leaseSlot);
    this.keyCount++;
    if ((packed & 1) === 0) this.tree.addLive(1);
    this.#setLeased(0, leaseSlot);
  }

  /** A key of the located leaf came to life or died. */
  #setLive(leaf: Leaf, delta: 1 | -1): void {
    leaf.live += delta;
    this.tree.addLive(delta);
  }

  /** A key of the located leaf had one lease and has the other; 0 for none. */
  #setLeased(before: number, after: number): void {
    if (before === 0 && after !== 0) this.tree.addLeased(1);
    else if (before !== 0 && after === 0) this.tree.addLeased(-1);
  }

  #log(key: string, main: Revision, delta: 1 | -1): void {
    // Rows at or before a compaction that is done are restored too; no count is asked for there.
    if (main > this.changes.floorRev) this.changes.append(key, main, delta);
  }

  /**
   * The revisions at or after `fromRev` of the keys in the range, for a watcher that catches up on
   * few keys: O(keys of the range + revisions found). Ascending; the list is the caller's.
   */
  revisionsSince(key: string, rangeEnd: string, fromRev: Revision): RevisionList {
    const list = new RevisionList();
    const exact = this.tree.locate(key);
    let { rank } = this.tree;
    let leaf: Leaf | undefined = this.tree.leaf;
    if (rangeEnd === SINGLE_KEY) {
      if (exact) this.#collectSince(leaf, leaf.slotAt(rank), fromRev, list);
    } else {
      for (; leaf !== undefined; leaf = leaf.next, rank = 0) {
        for (; rank < leaf.size; rank++) {
          if (rangeEnd !== FROM_KEY && leaf.keyAt(rank) >= rangeEnd) return list.sort();
          this.#collectSince(leaf, leaf.slotAt(rank), fromRev, list);
        }
      }
    }
    return list.sort();
  }

  /**
   * The revisions of one key in `[fromRev, toRev]`, ascending: O(log of its revisions + those found).
   */
  revisionsOfKey(key: string, fromRev: Revision, toRev: Revision): RevisionList {
    const list = new RevisionList();
    if (!this.tree.locate(key)) return list;
    const { leaf } = this.tree;
    const slot = leaf.slotAt(this.tree.rank);
    const main = leaf.floats[slot * FLOATS + F_MAIN]!;
    if (main >= fromRev && main <= toRev) list.push(main, leaf.integers[slot * INTEGERS + I_SUB]!);
    const { history } = this;
    let handle = history.find(leaf.head(slot), toRev);
    for (; handle !== 0 && history.main(handle) >= fromRev; handle = history.previous(handle)) {
      list.push(history.main(handle), history.packedSub(handle));
    }
    list.mains.reverse();
    list.subs.reverse();
    list.tombstones.reverse();
    return list;
  }

  #collectSince(leaf: Leaf, slot: number, fromRev: Revision, list: RevisionList): void {
    const main = leaf.floats[slot * FLOATS + F_MAIN]!;
    if (main < fromRev) return;
    list.push(main, leaf.integers[slot * INTEGERS + I_SUB]!);
    const { history } = this;
    for (let handle = leaf.head(slot); handle !== 0; handle = history.previous(handle)) {
      if (history.main(handle) < fromRev) return;
      list.push(history.main(handle), history.packedSub(handle));
    }
  }

  /**
   * Whether HashKV at revision `atRev` keeps a row at or before the compacted revision: the row is
   * what its key says at `atRev`. (A tombstone never is.) Rows that are not kept are left out of the
   * checksum, except when {@link keepsNothing}.
   */
  isKept(key: string, main: Revision, sub: number, atRev: Revision): boolean {
    const state = this.#scratch;
    return this.get(key, atRev, state) && state.modMain === main && state.modSub === sub;
  }

  /**
   * Whether no row is kept at all, since no key lives at `atRev`. etcd takes an empty set of kept rows
   * for none given: HashKV then counts every row at or before the compacted revision too (tombstones
   * exactly at it excepted, as always).
   */
  keepsNothing(atRev: Revision): boolean {
    return this.count('', FROM_KEY, atRev) === 0;
  }

  /**
   * Begins compaction at `rev`, not below the last one's and not above the newest revision. From now
   * on no read may be below `rev`: the store calls this only when no pinned view is below it, and
   * refuses new ones. The returned object does the work in slices; writes and reads go on between
   * them. One compaction is finished before the next begins.
   */
  startCompaction(rev: Revision): IndexCompaction {
    invariant(rev >= this.compactedRev, 'compaction does not go back');
    invariant(this.compaction === undefined, 'one compaction is finished before the next');
    invariant(
      this.rangeTombstone === undefined || rev < this.rangeTombstone.main,
      'a deletion is finished before it is compacted',
    );
    this.setCompactedRev(rev);
    this.compaction = new IndexCompaction(this, rev);
    return this.compaction;
  }

  /** What a boot knows of compaction before it restores rows, or {@link startCompaction}. */
  setCompactedRev(rev: Revision): void {
    this.compactedRev = rev;
    this.history.cutRev = rev;
    this.changes.dropBefore(rev);
  }

  /** Every violation of the index's rules; empty if all is well. Costs a walk over everything. */
  check(): string[] {
    return checkIndex(this);
  }

  /** The index as text, a line per key, for golden scripts. */
  describe(): string {
    return describeKeyIndex(this);
  }

  /** The check that slices and tests run; free unless costly checks are on. */
  verify(): void {
    if (verify.all) invariant(this.check().length === 0, 'the key index keeps its rules');
  }
}

/** Revisions in three parallel arrays. */
class RevisionList {
  readonly mains: number[] = [];
  readonly subs: number[] = [];
  readonly tombstones: boolean[] = [];

  get size(): number {
    return this.mains.length;
  }

  /** Appends a revision with its sub packed as the index holds it. */
  push(main: Revision, packedSub: number): void {
    this.mains.push(main);
    this.subs.push(packedSub >>> 1);
    this.tombstones.push((packedSub & 1) !== 0);
  }

  /** Sorts in place, ascending. */
  sort(): this {
    const { mains, subs, tombstones } = this;
    const order = mains.map((_, i) => i);
    order.sort((a, b) => mains[a]! - mains[b]! || subs[a]! - subs[b]!);
    const sorted = order.map((i) => [mains[i]!, subs[i]!, tombstones[i]!] as const);
    for (const [i, [main, sub, tombstone]] of sorted.entries()) {
      mains[i] = main;
      subs[i] = sub;
      tombstones[i] = tombstone;
    }
    return this;
  }
}
