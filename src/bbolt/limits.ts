// The bounds of the page store: unit, reason, and what happens at the bound.

import { invariant } from '../base/index.ts';

/** Bytes of a key or bucket name; bbolt's limit. `put` answers LIMIT_EXCEEDED `key too large`. */
export const KEY_BYTES_MAX = 32_768;

/** Bytes of a value; bbolt's limit. `put` answers LIMIT_EXCEEDED `value too large`. */
export const VALUE_BYTES_MAX = 2 ** 31 - 2;

/** Page sizes that a file may have, powers of two; any other is refused as CORRUPT. */
export const PAGE_SIZE_MIN = 512;
export const PAGE_SIZE_MAX = 65_536;
export const PAGE_SIZE_DEFAULT = 4096;

/**
 * Levels of one tree. Pages hold two children at least, so that 64 levels are more than any file
 * can need; a longer descent means a cycle and is refused as CORRUPT.
 */
export const TREE_DEPTH_MAX = 64;

/** Levels of buckets in buckets that a whole-file pass follows; deeper is refused as CORRUPT. */
export const BUCKET_DEPTH_MAX = 64;

/** Bytes of the page cache unless the caller says otherwise: 16,384 pages of 4 KiB. */
export const PAGE_CACHE_BYTES_DEFAULT = 64 * 1024 * 1024;

/** The cache keeps no page above this fraction of its bound: one huge value must not empty it. */
export const PAGE_CACHE_SHARE_MAX = 1 / 16;

/**
 * Pages in use that one eviction from the page cache spares, and copies, on its way to one that is not.
 * Reached: the next one goes although it is in use.
 */
export const PAGES_SPARED_MAX = 16;

/** Snapshots pinned at one time; the next `beginRead` answers LIMIT_EXCEEDED. */
export const READERS_MAX = 65_536;

/** Callers of `beginWrite` that may wait; the next gets LIMIT_EXCEEDED. */
export const WRITERS_WAITING_MAX = 1024;

/**
 * Entries and bytes of one edited node; beyond, it is cut in two in memory. Bounds the work between
 * two looks at the clock (1 MiB is copied in 0.2 ms) and the cost of an insertion in the middle.
 */
export const NODE_ENTRIES_MAX = 4096;
export const NODE_BYTES_MAX = 1024 * 1024;

/**
 * Pages, overflow included, of a leaf with several elements that each need more than one: joined they
 * waste less, but a read of one of them reads all.
 */
export const JOINED_PAGES_MAX = 4;

/** Built pages that may wait for their write, bytes; then the commit writes before it builds on. */
export const DIRTY_BYTES_MAX = 8 * 1024 * 1024;

/** Bytes of memory that a commit takes at once for leaf pages, which then lie side by side. */
export const SLAB_BYTES = 64 * 1024;

/** Bytes of one read of the read-ahead, of one chunk of a copy, and of one write of a commit. */
export const TRANSFER_BYTES_MAX = 1024 * 1024;

/** Bytes of the pages that a walk has in memory at once, of which two may be: the last page may exceed it. */
export const WALK_BATCH_BYTES_MAX: number = 4 * 1024 * 1024;

/** Bytes between two wanted pages that the read-ahead reads along: cheaper than a second read. */
export const READ_GAP_BYTES_MAX = 64 * 1024;

/** Pages that one cache miss of a cursor may read along with the wanted one. */
export const READ_ALONG_PAGES_MAX = 16;

/**
 * Bytes of a leaf, overflow pages included, that a cursor in passing reads into the memory of the one before,
 * which it keeps. A larger one gets its own.
 */
export const PASSING_BYTES_MAX: number = 1024 * 1024;

/** Files above this size grow by this much at once (bbolt's `AllocSize`); below, they double. */
export const GROWTH_STEP_BYTES = 16 * 1024 * 1024;
export const GROWTH_START_BYTES = 32 * 1024;

/** The part of a page that a bucket may take to be kept inline, bbolt's rule. */
export const INLINE_SHARE: number = 1 / 4;

/**
 * Bytes of a compaction between two syncs: what others' syncs of the same disk may have to wait for.
 */
export const COMPACTION_SYNC_BYTES: number = 1024 * 1024;

/**
 * A file that lost its name gives back its space in steps of so many bytes, each with a sync and a rest
 * of so many times its duration. At once, the gigabytes of a file are freed (and on some disks discarded)
 * by one commit of the file system, for which all syncs wait.
 */
export const GIVE_BACK_BYTES: number = 8 * 1024 * 1024;
export const GIVE_BACK_REST_FACTOR = 2;

/** The longest rest after a block of a compaction or a step of giving back. */
export const REST_MS_MAX = 100;

/** Violations that a check lists before it stops. */
export const VIOLATIONS_MAX = 10_000;

invariant(PAGE_SIZE_MAX <= TRANSFER_BYTES_MAX, 'a page fits into one transfer');
invariant(PAGE_SIZE_MAX <= SLAB_BYTES, 'a slab holds a page');
invariant(NODE_ENTRIES_MAX < 0xffff, 'a node fits the count field of a page');
