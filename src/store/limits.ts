// Bounds of the store: value, reason, and what happens at the bound.

/** etcd's defaults for `--backend-batch-limit` and `--backend-batch-interval`. */
export const BATCH_CHANGES_DEFAULT = 10_000;
export const BATCH_INTERVAL_MS_DEFAULT = 100;

/**
 * Bytes the live overlay may hold while a frozen one is being written. 64 MiB is about two seconds
 * of puts at 100,000 per second and 300 bytes. Reached: delivery of committed entries pauses until
 * the frozen overlay is synced, and new proposals are refused once the backlog limit is reached too.
 */
export const OVERLAY_BYTES_MAX: number = 64 * 1024 * 1024;

/** Changes written to the B+tree between two checks of the clock; one may read a page. */
export const CHANGES_PER_CLOCK_CHECK = 64;

/** Rows read between two checks of the clock while restoring or comparing. */
export const ROWS_PER_CLOCK_CHECK = 512;

/** etcd's defaults for `--compaction-batch-limit` and `--compaction-sleep-interval`. */
export const COMPACTION_BATCH_ROWS_DEFAULT = 1000;
export const COMPACTION_SLEEP_MS_DEFAULT = 10;

/** A pinned view delays compaction; one that is held longer than this is released. */
export const PIN_MS_MAX: number = 10 * 60 * 1000;

/**
 * A replaced database stays open this long at most for its readers; further reads then get CLOSED.
 */
export const RETIRED_MS_MAX: number = PIN_MS_MAX;

/**
 * Replaced files that are still read and take disk space. Reached: no exchange begins until one of them
 * is closed, at most RETIRED_MS_MAX later.
 */
export const RETIRED_FILES_MAX = 4;

/**
 * Keys of removed rows and of the small buckets that are recorded while a file is rewritten; about
 * 128 MiB. Reached, by a compaction of a large history: the exchange is abandoned.
 */
export const CARRY_OVER_KEYS_MAX = 1_000_000;

/**
 * Batches of changes that are carried over while no other batch is written: a few hundred
 * milliseconds. More are carried over concurrently with writes, in CARRY_OVER_PASSES_MAX passes at most,
 * and only while each pass leaves less behind than the one before; then the writers are faster than the
 * disk, and the last pass takes all that is left.
 */
export const CARRY_OVER_LAST_BATCHES = 2;
export const CARRY_OVER_PASSES_MAX = 8;

/** Bytes of values in one transaction that carries over; its pages are in memory until it commits. */
export const CARRY_OVER_TRANSACTION_BYTES: number = 16 * 1024 * 1024;

/**
 * How full a page of the old file may be and still need a whole one of the new: pages are filled to this
 * share. What a defragmentation asks for is what is in use, divided by it.
 */
export const COMPACTED_SHARE = 0.9;

/**
 * A defragmentation leaves the disk to others for so many times as long as each block of the copy took:
 * syncs of the log wait for one block at most, and half of the disk's time is theirs.
 */
export const COPY_REST_FACTOR = 1;

/**
 * Free disk space that a defragmentation leaves to others, if the database is not smaller itself: a
 * segment of the log and some batches. Not there, or no longer: it does not begin, or is given up.
 */
export const DEFRAGMENT_RESERVE_BYTES: number = 128 * 1024 * 1024;

/** Interval at which a defragmentation looks at the disk's free space and tells its progress. */
export const DEFRAGMENT_CHECK_MS = 1000;

/** Pause between attempts to write a batch that met a full disk. */
export const DISK_FULL_RETRY_MS = 1000;

/** Keys and revisions that one step of the index's compaction works through: about a millisecond. */
export const INDEX_STEP_KEYS = 4096;

/** Checksums of compactions that are kept; etcd keeps ten. */
export const COMPACTION_HASHES_MAX = 10;

/** Keys that one step of a large entry works through: about a millisecond of deletions. */
export const APPLY_STEP_KEYS = 1024;

/** Rows, events and watchers that one step of catching up works through: under a millisecond. */
export const WATCH_CATCH_UP_BUDGET = 512;

/**
 * Bytes of rows cached in addition to the page cache; about 200,000 rows of 300 bytes. Reached: the
 * oldest are evicted.
 */
export const ROW_CACHE_BYTES: number = 48 * 1024 * 1024;
