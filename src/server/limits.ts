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
/**
 * First pause of a start that waits for the log to tell the cluster's version, or that it is alone; doubled
 * up to {@link PUBLISH_RETRY_MS}. A member alone knows within its first sync or two.
 */
export const FORMS_POLL_MS_MIN = 5;

/** Time for a request beyond two election timeouts: etcd's 5 s for disk and network. */
export const REQUEST_TIMEOUT_BASE_MS = 5000;

/** Time for a request, at this election timeout. */
export function requestTimeoutMs(electionMs: number): number {
  return REQUEST_TIMEOUT_BASE_MS + 2 * electionMs;
}

/** How often the log and snapshot directories are purged. */
export const PURGE_INTERVAL_MS = 30_000;

/** Entries between two snapshots that raft keeps in memory only, for the compaction of its log. */
export const MEMORY_SNAPSHOT_ENTRIES = 100;

/**
 * Share of V8's heap limit above which writes are refused with
 * `etcdserver: mvcc: database space exceeded`.
 */
export const HEAP_SHARE_MAX = 0.85;

/**
 * Share of V8's heap limit above which new watchers, streams and leases are refused with
 * RESOURCE_EXHAUSTED `etcdserver: too many requests`, well before writes have to be.
 */
export const HEAP_SHARE_OPEN_MAX = 0.7;

/** New watchers, streams and leases between two looks at the heap: some ten kilobytes. */
export const HEAP_LOOK_EVERY = 64;

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

/** Bytes of their requests; one of any size is taken when none waits. Reached: the same. */
export const READS_BYTES_MAX: number = 64 * 1024 * 1024;

/**
 * Keys of a range that are read before the turn may be given back: about half a millisecond. A row
 * counts as one more for each 16 KiB, so that one step reads 32 MiB at most.
 */
export const RANGE_STEP_KEYS = 2048;

/**
 * Largest answer in bytes, etcd's. Reached: the read fails with RESOURCE_EXHAUSTED.
 */
export const RESPONSE_BYTES_MAX: number = 2 ** 31 - 1;

/** Keys in the first piece of a range stream; etcd's number. */
export const RANGE_STREAM_FIRST_KEYS = 10;

/** Time for the head of an HTTP request to arrive; etcd's. */
export const HTTP_HEADERS_TIMEOUT_MS: number = 5 * 60 * 1000;

/** Headers of an HTTP/1 request, as Go's server takes; more are answered 431. */
export const HTTP_HEADERS_BYTES_MAX: number = 1024 * 1024;

/** Time for the owner of a Unix socket to show that it is in use. */
export const SOCKET_PROBE_TIMEOUT_MS = 1000;

/** Time for calls under way to end when the member stops; then they are cut off. */
export const STOP_GRACE_MS = 2000;

/** A larger answer is encoded while it is sent: half a millisecond of copying. */
export const ANSWER_BYTES_AT_ONCE: number = 1024 * 1024;

/**
 * Bytes of rows that one range of several turns may keep until they are sent. Reached, or the bound of
 * all answers together (`pendingBytesMax` of the transport): rows are read once for their lengths and
 * once more while they are sent.
 */
export const LARGE_RANGE_BYTES_KEPT: number = 48 * 1024 * 1024;

/** Bytes of rows that are read at once while an answer is sent: one or two milliseconds. */
export const RANGE_WINDOW_BYTES: number = 256 * 1024;

/** Time for another member to answer a small request; etcd's 5 s for disk and network. */
export const PEER_REQUEST_TIMEOUT_MS = 5000;

/** Largest answer to a small request of another member. */
export const PEER_ANSWER_BYTES_MAX: number = 16 * 1024 * 1024;

/** Largest answer of the leader for a lease, with its keys; etcd's. */
export const LEASE_ANSWER_BYTES_MAX: number = 100 * 1024 * 1024;

/** Time for each of the others to say that a founder was there before; etcd's. */
export const BOOTSTRAP_TIMEOUT_MS = 1000;

/** Time for the names in peer URLs to be resolved, and between two tries for a name; etcd's. */
export const RESOLVE_TIMEOUT_MS = 30_000;
export const RESOLVE_RETRY_MS = 1000;

/** Time for each of the others to tell a joiner who belongs to the cluster; etcd's. */
export const JOIN_TIMEOUT_MS = 10_000;

/** How often a leader asks which releases the members run; etcd's. */
export const VERSION_CHECK_INTERVAL_MS = 4000;

/** Appends under way to one follower, in bytes: what it may have to hold while its disk is slow. */
export const RAFT_INFLIGHT_BYTES_MAX: number = 128 * 1024 * 1024;

/** Snapshots that may be on their way to others at once; etcd's bound. Reached: raft tries later. */
export const SNAPSHOTS_IN_FLIGHT_MAX = 16;

/**
 * How long the log stays as it is after a snapshot was sent: its receiver needs what follows. etcd's.
 */
export const SNAPSHOT_RELEASE_DELAY_MS = 30_000;

/** A link that has been up for so long counts as healthy; etcd's. */
export const HEALTHY_LINK_MS = 5000;

/** How long a member waits for links before its first election may come sooner; etcd's. */
export const FIRST_LINKS_TIMEOUT_MS = 5000;
export const FIRST_LINKS_CHECK_MS = 50;

/** Time for what is known to be committed to be applied before a leader answers for it; etcd's. */
export const APPLY_TIMEOUT_MS = 1000;

/** Pause between two tries to reach the leader for a lease; etcd's. */
export const LEASE_FORWARD_RETRY_MS = 50;

/** Share of the leader's log that a learner must have before it may vote; etcd's. */
export const LEARNER_READY_SHARE = 0.9;

/** How long a removed member continues, so that the others learn of it from it; etcd's. */
export const REMOVAL_DELAY_MS = 1000;

/** How often a renewal of a lease that has expired and is not revoked yet is tried again. */
export const LEASE_RENEWAL_RETRY_MS = 100;

/** Heartbeats without a tick after which a leader asks before it speaks for leases; etcd's. */
export const STALE_TICKS_MAX = 3;

/** A piece of a snapshot for a client; etcd's. */
export const SNAPSHOT_PIECE_BYTES: number = 32 * 1024;

/**
 * Snapshots that may be on their way to clients at once. Another ends the oldest one whose client takes
 * fewer bytes per second than SENT_SNAPSHOT_RATE_MIN; if there is none, it is too many requests.
 */
export const SNAPSHOT_COPIES_MAX = 16;
export const SENT_SNAPSHOT_RATE_MIN: number = 1024 * 1024;
/** A client is not judged before it was waited for so long. */
export const SENT_SNAPSHOT_GRACE_MS = 1_000;

/** How often a defragmentation that is under way says in the log how far it is. */
export const DEFRAGMENT_LOG_INTERVAL_MS = 10_000;

/**
 * How long a leader may keep the news of a commit for the append that carries the next entries. What
 * followers show to serializable reads and watchers is so much older; a read index is not affected,
 * since the heartbeats that confirm it carry the commit index.
 */
export const COMMIT_DELAY_MS = 1;

/**
 * Lines of one kind (the same constant text) that the log takes at once, and in the long run. Reached:
 * further ones are left out and counted in the next one that is written.
 */
export const LOG_KIND_LINES_AT_ONCE = 100;
export const LOG_KIND_LINES_PER_SECOND = 10;

/** Kinds of lines that are told apart. Reached: the one first seen begins again. */
export const LOG_KINDS_MAX = 1000;

/** Characters of one text in a line, which others may have sent. Reached: it is cut, and says so. */
export const LOG_TEXT_CHARS_MAX = 4096;
