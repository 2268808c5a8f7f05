// Bounds of a member: what they are, why, and what happens when one is reached.

/**
 * Payloads waiting to be proposed: those of one turn, or of as long as there is no leader. Reached:
 * new requests get `etcdserver: too many requests`.
 */
export const LOOP_PROPOSALS_MAX = 10_000;

/** Bytes of these payloads; one of any size is taken when none waits. Reached: the same. */
export const LOOP_BYTES_MAX: number = 64 * 1024 * 1024;

/**
 * Bytes of entries that are proposed and not committed, as while the disk stands still. Reached: raft
 * takes no more, and proposals wait in the loop, up to its bounds.
 */
export const RAFT_UNCOMMITTED_BYTES_MAX: number = 256 * 1024 * 1024;

/**
 * Committed entries that are not applied yet. etcd's bound. Reached: new requests get
 * `etcdserver: too many requests`.
 */
export const APPLY_BACKLOG_MAX = 5000;

/** Time the apply loop may take in one turn before reads and ticks have their chance. */
export const APPLY_SLICE_MS = 4;

/** Raft's bound on the bytes of one append message and of committed entries handed out at once. */
export const RAFT_MESSAGE_BYTES_MAX: number = 1024 * 1024;

/** Appends that may be under way to one follower. etcd's bound. */
export const RAFT_INFLIGHT_MESSAGES_MAX = 512;

/** What etcd adds to the size of a request for the envelope around it. */
export const REQUEST_OVERHEAD_BYTES: number = 512 * 1024;

/** How long a publication waits before it is tried again; etcd's pause. */
export const PUBLISH_RETRY_MS = 100;

/** Time for a request beyond two election timeouts: etcd's 5 s for disk and network. */
export const REQUEST_TIMEOUT_BASE_MS = 5000;

/** How often the log and snapshot directories are purged. */
export const PURGE_INTERVAL_MS = 30_000;

/** Entries between two snapshots that raft keeps in memory only, for the compaction of its log. */
export const MEMORY_SNAPSHOT_ENTRIES = 100;

/**
 * Share of V8's heap limit above which writes are refused with
 * `etcdserver: mvcc: database space exceeded`.
 */
export const HEAP_SHARE_MAX = 0.85;

/** How often the heap is looked at. */
export const HEAP_CHECK_INTERVAL_MS = 500;

/** How often expired leases are looked for; etcd's interval. */
export const LEASE_CHECK_INTERVAL_MS = 500;

/** Shortest `--watch-progress-notify-interval`; a shorter one is raised. */
export const WATCH_PROGRESS_INTERVAL_MS_MIN = 100;

/** How long raft may leave a read index unanswered before it is asked again; etcd's interval. */
export const READ_RETRY_MS = 500;

/**
 * Linearizable reads that wait: for their round, for its index, or for that index to be applied.
 * Reached: new ones get `etcdserver: too many requests`.
 */
export const READS_WAITING_MAX = 100_000;

/** Keys of a range that are read before the turn may be given back: about half a millisecond. */
export const RANGE_STEP_KEYS = 2048;

/**
 * Largest answer in bytes, etcd's. Reached: the read fails with RESOURCE_EXHAUSTED.
 */
export const RESPONSE_BYTES_MAX: number = 2 ** 31 - 1;

/** Keys in the first piece of a range stream; etcd's number. */
export const RANGE_STREAM_FIRST_KEYS = 10;

/** Time for the head of an HTTP request to arrive; etcd's. */
export const HTTP_HEADERS_TIMEOUT_MS: number = 5 * 60 * 1000;

/** Time for calls under way to end when the member stops; then they are cut off. */
export const STOP_GRACE_MS = 2000;

/** A larger answer to a range is encoded while it is sent: half a millisecond of copying. */
export const RANGE_BYTES_AT_ONCE: number = 1024 * 1024;
