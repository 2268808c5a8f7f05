// The bounds of this folder: unit, reason, and what happens when one is reached.

import { invariant } from '../base/index.ts';

/**
 * Keys per leaf of the index; a full leaf splits. Inserting moves at most this many bytes. A slot
 * takes 53 bytes, so a random workload (leaves 69% full) pays 77 bytes per key.
 */
export const LEAF_KEYS_MAX = 128;

/** Leaves that share their columns: 32 * 128 slots of 53 bytes = 217 KB, also the least there is. */
export const LEAVES_PER_CHUNK = 32;

/** A leaf below this many keys joins its neighbour if both fit into three quarters of a leaf. */
export const LEAF_KEYS_LOW = 32;

/** Children per inner node of the index; a full node splits. Three levels of nodes hold 18M keys. */
export const NODE_CHILDREN_MAX = 64;

/** An inner node below this many children joins its neighbour if both fit into three quarters. */
export const NODE_CHILDREN_LOW = 16;

/** Levels of a tree; with at least two children per node this is never reached. */
export const TREE_LEVELS_MAX = 32;

/**
 * Bytes of a block, the encoded keys of a leaf: 128 keys with values of 2 KB. Leaves with more have none:
 * finding such rows costs little beside what they weigh.
 */
export const BLOCK_BYTES_MAX: number = 256 * 1024;

/** Bytes of the slabs that blocks lie in; a part of up to a block at the end stays empty. */
export const BLOCK_SLAB_BYTES: number = 2 * 1024 * 1024;

/** Slabs of blocks, 32 MiB: about 100,000 keys with values of 256 bytes. Reached: the oldest one goes. */
export const BLOCK_SLABS_MAX = 16;

/** Sub revisions are stored in 31 bits beside the tombstone flag. More changes fit no heap. */
export const SUB_MAX = 2 ** 31 - 1;

/** Older revisions per slab of the index's history: 8192 * 48 bytes = 384 KiB. */
export const HISTORY_SLAB_RECORDS = 8192;

/**
 * Rows that a boot sorts by key before it places them: sorting them takes about 6 ms. More save little: a
 * million scattered keys take 2.6 s of CPU time in the index this way, 2.2 s with four times as many, 4.3 s
 * row by row.
 */
export const RESTORE_RUN_ROWS = 16_384;

/** Ascending sequences of keys that a boot follows at once; of more it looks for each key. */
export const RESTORE_PATHS = 32;

/** Rows after which a boot, again and again, judges whether their keys come in sequences: half of them. */
export const RESTORE_JUDGED_ROWS = 1024;

/**
 * Keys up to which a boot places rows as they come: sorting 100,000 rows, in code that is cold, takes
 * 0.1 s of CPU time, more than is gained while the index fits into the processor's caches.
 */
export const RESTORE_PLAIN_KEYS = 131_072;

/** Entries of a block of the change log: sorting one takes about 0.5 ms, walking it 0.03 ms. */
export const CHANGE_BLOCK_ENTRIES = 1024;

/** Blocks that one count sorts, 4 ms; it walks the other blocks, and later counts sort them. */
export const CHANGE_BLOCKS_SORTED_PER_COUNT = 8;

/**
 * Full blocks of the change log: 4096 * 1024 entries of about 22 bytes = 92 MB. Beyond it the
 * oldest block goes, and a count at a revision before it walks the keys.
 */
export const CHANGE_BLOCKS_MAX = 4096;

/**
 * Leaves that a range, a comparison or a deletion looks through for its next key before its slice
 * ends: 8192 keys, less than a millisecond. Only keys that do not exist at its revision make it many.
 */
export const CURSOR_LEAVES_MAX = 64;

/**
 * Keys with a lease that a deletion of a range may have and still be one record: they are detached from
 * their leases at once, in about a millisecond. With more of them, it is applied key by key.
 */
export const RANGE_TOMBSTONE_LEASED_MAX = 1024;

/**
 * The newest changes, kept while watchers are behind: about 2 MB, and the slabs of their rows. Reached: the
 * oldest go, and watchers read them from the store.
 */
export const WATCH_RECENT_CHANGES_MAX: number = 8 * 1024;
export const WATCH_RECENT_BYTES_MAX: number = 4 * 1024 * 1024;

/** Watchers among which those of a pass are chosen. */
export const WATCH_PASS_LOOKS_MAX = 2048;

/** Watchers of other keys between two of the same key that still share a pass: about 0.5 µs. */
export const WATCH_PASS_OTHERS_MAX = 64;

/**
 * Changes of one revision that synced watchers get at once, about 2 ms. Watchers of a larger
 * revision get it in a pass over the store, in slices.
 */
export const WATCH_NOTIFY_CHANGES_MAX = 1024;

/** Watchers that one pass catches up together, as in etcd; the others wait for the next pass. */
export const WATCH_PASS_WATCHERS_MAX = 512;

/** Changes in the window of a pass; a window ends at the first whole revision beyond. */
export const WATCH_WINDOW_CHANGES_MAX = 1024;

/** Bytes in the window of a pass; a window ends at the first whole revision beyond. */
export const WATCH_WINDOW_BYTES_MAX = 1024 * 1024;

/**
 * Transactions within each other, the outermost counted, which are checked and answered on the stack.
 * Each takes one of the operations that a request may have (128 by default), so a deeper one is answered
 * as one with too many.
 */
export const TXN_NESTING_MAX = 1000;

invariant(LEAF_KEYS_MAX <= 256, 'a position in a leaf fits into a byte');
invariant(LEAF_KEYS_LOW * 4 <= LEAF_KEYS_MAX, 'a joined leaf is not about to split');
invariant(NODE_CHILDREN_LOW * 4 <= NODE_CHILDREN_MAX, 'a joined node is not about to split');
invariant(CHANGE_BLOCK_ENTRIES <= 65536, 'a position in a block fits into 16 bits');
