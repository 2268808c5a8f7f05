// Bounds of a member: value, reason, and what happens at the bound.

import { invariant } from '../base/index.ts';

/**
 * Payloads waiting to be proposed: those of one turn, or all while there is no leader. Reached: new
 * requests get `etcdserver: too many requests`.
 */
export const LOOP_PROPOSALS_MAX = 10_000;

/** Bytes of these payloads; one of any size is accepted when none waits. Reached: the same. */
export const LOOP_BYTES_MAX: number = 64 * 1024 * 1024;

/**
 * Messages with proposals of other members that wait, as the own ones do; etcd's number. Reached: further
 * ones are dropped, and their clients get a timeout.
 */
export const FORWARDED_MESSAGES_MAX = 4096;

/** Bytes of their entries; one of any size waits where none does. Reached: the same. */
export const FORWARDED_BYTES_MAX: number = 64 * 1024 * 1024;

/**
 * Bytes of entries that are proposed and not committed, for example while the disk hangs. Reached: raft
 * takes no more, and proposals wait in the loop, up to its bounds.
 */
export const RAFT_UNCOMMITTED_BYTES_MAX: number = 256 * 1024 * 1024;

/**
 * Committed entries that are not applied yet. etcd's bound. Reached: new requests get
 * `etcdserver: too many requests`.
 */
export const APPLY_BACKLOG_MAX = 5000;

/** The same for revocations of leases, with the feature gate PriorityRequest. */
export const PRIORITY_BACKLOG_MAX: number = 2 * APPLY_BACKLOG_MAX;

/** Time the apply loop may take in one turn before it yields to reads and ticks. */
export const APPLY_SLICE_MS = 4;

/** Raft's bound on the bytes of one append message and of committed entries delivered together. */
export const RAFT_MESSAGE_BYTES_MAX: number = 1024 * 1024;

/** Appends in flight to one follower. etcd's bound. */
export const RAFT_INFLIGHT_MESSAGES_MAX = 512;

/** Bytes that etcd adds to the size limit of a request for its envelope. */
export const REQUEST_OVERHEAD_BYTES: number = 512 * 1024;

/** Pause between retries of the publication; etcd's. */
export const PUBLISH_RETRY_MS = 100;
/**
 * First pause of a start that waits until the log has the cluster version, or shows that it is alone;
 * doubled up to {@link PUBLISH_RETRY_MS}. A member alone knows within its first syncs.
 */
export const FORMS_POLL_MS_MIN = 5;

/** Time for one name of `--discovery-srv` to be looked up; then it counts as unknown. */
export const NAME_LOOKUP_TIMEOUT_MS = 20_000;

/**
 * Pauses between requests to a discovery service that does not answer, each twice the one before; etcd's.
 * It is asked without end.
 */
export const DISCOVERY_RETRY_MS_MIN = 2_000;
export const DISCOVERY_RETRY_MS_MAX = 256_000;

/** Time for a connection there where none is set; then the next address is tried. */
export const DISCOVERY_DIAL_TIMEOUT_MS = 20_000;

/** The longest time that a timer can wait; what is set to more waits so long. */
export const DELAY_MS_MAX: number = 2 ** 31 - 1;

/** Timeout of a request, added to two election timeouts: etcd's 5 s for disk and network. */
export const REQUEST_TIMEOUT_BASE_MS = 5000;

/** Timeout of a request, with this election timeout. */
export function requestTimeoutMs(electionMs: number): number {
  return REQUEST_TIMEOUT_BASE_MS + 2 * electionMs;
}

/** By how much of its interval a periodic task may come later, with another timer. */
export const INTERVAL_SLACK = 0.2;

/** Ticks that a member alone in its cluster takes at once: there is nobody whom it must hear or tell. */
export const TICKS_ALONE = 5;

/** Interval at which the log and snapshot directories are purged. */
export const PURGE_INTERVAL_MS = 30_000;

/** Entries between two snapshots that raft keeps in memory only, for the compaction of its log. */
export const MEMORY_SNAPSHOT_ENTRIES = 100;

/**
 * Payloads of applied entries that raft keeps in memory for followers that lag, and, about, what a start
 * has to read of the log on disk. 5,000 entries (`--snapshot-catchup-entries`) of 50 KiB are fewer.
 * Reached: earlier entries go, and a follower that lacks them gets the database; what is not in a
 * snapshot on disk yet gets into one.
 */
export const LOG_BYTES_MAX: number = 256 * 1024 * 1024;

/**
 * The same of entries that every member has on its disk, by what the leader knows: only a member that is
 * added could ask for them, and it gets the database as well. Reached: earlier ones go. Of large values
 * that is most of what a member alone would hold.
 */
export const LOG_BYTES_COMMON_MAX: number = 32 * 1024 * 1024;

/** The same of a member that is idle. Reached: earlier entries go that no follower is known to lack. */
export const LOG_BYTES_IDLE_MAX: number = 8 * 1024 * 1024;

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

/** New watchers, streams and leases between two checks of the heap: some ten kilobytes. */
export const HEAP_LOOK_EVERY = 64;

/** Interval at which what the database file has grown by is locked in memory, if so set. */
export const MEMORY_LOCK_INTERVAL_MS = 1_000;

/** Interval of heap checks. */
export const HEAP_CHECK_INTERVAL_MS = 500;

/** Interval at which it is checked whether a load is over, and how many checks must find none. */
export const IDLE_CHECK_INTERVAL_MS = 2_000;
export const IDLE_CHECKS = 2;

/**
 * Share of a core that the process takes at most while it counts as idle, and above which there is a load:
 * caches are dropped once after each load.
 */
export const IDLE_CPU_SHARE = 0.03;
export const LOAD_CPU_SHARE = 0.1;

/** Interval of the check for expired leases; etcd's. */
export const LEASE_CHECK_INTERVAL_MS = 500;

/** Shortest `--watch-progress-notify-interval`; a shorter one is raised. */
export const WATCH_PROGRESS_INTERVAL_MS_MIN = 100;

/** Interval at which an unanswered read index is requested again; etcd's. */
export const READ_RETRY_MS = 500;

/**
 * Linearizable reads that wait: for their round, for its index, or for that index to be applied.
 * Reached: new ones get `etcdserver: too many requests`.
 */
export const READS_WAITING_MAX = 100_000;

/** Bytes of their requests; one of any size is accepted when none waits. Reached: the same. */
export const READS_BYTES_MAX: number = 64 * 1024 * 1024;

/**
 * Keys of a range that are read between two checks of the slice: about half a millisecond. A row counts as
 * one more for each 16 KiB, so that one step reads 32 MiB at most.
 */
export const RANGE_STEP_KEYS = 2048;

/**
 * Steps of a range in its first turn, their keys, and the milliseconds after which none begins; a longer one
 * is read in slices. The steps are short: each row may be on a page of its own that is not in the cache.
 */
export const RANGE_STEPS_AT_ONCE = 128;
export const RANGE_FIRST_STEP_KEYS = 128;
export const RANGE_FIRST_SLICE_MS = 4;

/**
 * Largest answer in bytes, etcd's. Reached: the read fails with RESOURCE_EXHAUSTED.
 */
export const RESPONSE_BYTES_MAX: number = 2 ** 31 - 1;

/** Keys in the first piece of a range stream; etcd's number. */
export const RANGE_STREAM_FIRST_KEYS = 10;

/** Time for the head of an HTTP request to arrive; etcd's. */
export const HTTP_HEADERS_TIMEOUT_MS: number = 5 * 60 * 1000;

/** Time that an HTTP/1 connection may be idle between two requests. etcd sets none. */
export const HTTP_IDLE_TIMEOUT_MS: number = 5 * 60 * 1000;

/** Bytes of the headers of an HTTP/1 request, Go's limit; more are answered 431. */
export const HTTP_HEADERS_BYTES_MAX: number = 1024 * 1024;

/** Duration of a profile if none is asked for; that of Go. */
export const PROFILE_SECONDS_DEFAULT = 30;
/** Longest profile: what is sampled stays in memory until its end. A longer one is answered 400. */
export const PROFILE_SECONDS_MAX = 600;

/** Calls of one bucket that `/debug/requests` shows, and events of `/debug/events`: the newest. */
export const REQUEST_LOG_PER_BUCKET = 10;
export const REQUEST_LOG_EVENTS_MAX = 100;

/**
 * Spans that wait for the collector: OpenTelemetry's number. Reached: further ones are dropped, and
 * counted.
 */
export const SPANS_QUEUED_MAX = 2048;
/** Spans of one request to the collector, and how long the first of them waits; OpenTelemetry's. */
export const SPAN_BATCH_MAX = 512;
export const SPAN_BATCH_DELAY_MS = 5000;
/** Time for the collector to answer; OpenTelemetry's. */
export const SPAN_EXPORT_TIMEOUT_MS = 10_000;
/** Pause before spans are sent again, and how often they are sent in all; then they are dropped. */
export const SPAN_EXPORT_RETRY_MS = 5000;
export const SPAN_EXPORT_TRIES_MAX = 10;
/** Time for the last spans when the member stops; then they are dropped. */
export const SPAN_CLOSE_TIMEOUT_MS = 2000;
/** Events of a span; OpenTelemetry's. Reached: further ones are left out. */
export const SPAN_EVENTS_MAX = 128;

/** Timeout of the connect that checks whether a Unix socket is in use. */
export const SOCKET_PROBE_TIMEOUT_MS = 1000;

/** Time for running calls to end when the member stops; then they are cancelled. */
export const STOP_GRACE_MS = 2000;

/** A larger answer is encoded while it is sent: half a millisecond of copying. */
export const ANSWER_BYTES_AT_ONCE: number = 1024 * 1024;

/** The same for an answer with runs of rows, which are sent from where they lie. */
export const RUNS_BYTES_AT_ONCE: number = 64 * 1024;

/**
 * Bytes of rows that one range of several turns may hold until they are sent. Reached, or the bound over
 * all answers (`pendingBytesMax` of the transport): rows are read once for their lengths and again while
 * they are sent.
 */
export const LARGE_RANGE_BYTES_KEPT: number = 48 * 1024 * 1024;

/**
 * Bytes of rows that are read together while an answer is sent: half a millisecond for rows of 256 B that are
 * each on a page of their own, and not in the cache, and several where the collector marks meanwhile.
 */
export const RANGE_WINDOW_BYTES: number = 16 * 1024;

/** Time for another member to answer a small request; etcd's 5 s for disk and network. */
export const PEER_REQUEST_TIMEOUT_MS = 5000;

/** Largest answer to a small request of another member. */
export const PEER_ANSWER_BYTES_MAX: number = 16 * 1024 * 1024;

/** Largest answer of the leader for a lease, with its keys; etcd's. */
export const LEASE_ANSWER_BYTES_MAX: number = 100 * 1024 * 1024;

/** Timeout of the requests by which a founder checks whether it has started before; etcd's. */
export const BOOTSTRAP_TIMEOUT_MS = 1000;

/** Timeout for resolving names in peer URLs, and pause between two attempts; etcd's. */
export const RESOLVE_TIMEOUT_MS = 30_000;
export const RESOLVE_RETRY_MS = 1000;

/** Timeout of the member list request of a joiner; etcd's. */
export const JOIN_TIMEOUT_MS = 10_000;

/** Interval at which a leader requests the members' releases; etcd's. */
export const VERSION_CHECK_INTERVAL_MS = 4000;

/** Bytes of appends in flight to one follower, which it holds in memory while its disk is slow. */
export const RAFT_INFLIGHT_BYTES_MAX: number = 128 * 1024 * 1024;

invariant(
  LOG_BYTES_IDLE_MAX <= LOG_BYTES_COMMON_MAX && LOG_BYTES_COMMON_MAX <= LOG_BYTES_MAX,
  'the log of an idle member is the shortest, that of one with followers behind the longest',
);
invariant(
  LOG_BYTES_MAX >= 2 * RAFT_INFLIGHT_BYTES_MAX,
  'what is in flight to a follower can be sent again',
);

/**
 * A received database is written in pieces of so many bytes; up to two of them are in memory. Pieces of the
 * network are gathered for one, at most so many, since small ones take more memory than they have bytes.
 */
export const RECEIVED_WRITE_BYTES: number = 1024 * 1024;
export const RECEIVED_WRITE_PIECES = 64;

/** Concurrent snapshots to other members; etcd's bound. Reached: raft retries later. */
export const SNAPSHOTS_IN_FLIGHT_MAX = 16;

/**
 * How long the log is not compacted after a snapshot was sent, since its receiver needs later entries;
 * etcd's.
 */
export const SNAPSHOT_RELEASE_DELAY_MS = 30_000;

/** A link that has been up this long counts as healthy; etcd's. */
export const HEALTHY_LINK_MS = 5000;

/** How long a member waits for links before it advances its first election; etcd's. */
export const FIRST_LINKS_TIMEOUT_MS = 5000;
export const FIRST_LINKS_CHECK_MS = 50;

/** Timeout of a leader's wait until all committed entries are applied; etcd's. */
export const APPLY_TIMEOUT_MS = 1000;

/** Pause between retries of lease requests at the leader; etcd's. */
export const LEASE_FORWARD_RETRY_MS = 50;

/** Share of the leader's log that a learner must have before it may vote; etcd's. */
export const LEARNER_READY_SHARE = 0.9;

/** Delay before a removed member stops, so that others get the commit index from it; etcd's. */
export const REMOVAL_DELAY_MS = 1000;

/** Interval at which the renewal of an expired lease that is not revoked yet is retried. */
export const LEASE_RENEWAL_RETRY_MS = 100;

/** Heartbeats without a tick after which a leader confirms its leadership for leases; etcd's. */
export const STALE_TICKS_MAX = 3;

/** A piece of a snapshot for a client; etcd's. */
export const SNAPSHOT_PIECE_BYTES: number = 32 * 1024;

/**
 * Concurrent snapshots to clients. One more ends the oldest one whose client reads fewer bytes per second
 * than SENT_SNAPSHOT_RATE_MIN; if there is none, it gets `too many requests`.
 */
export const SNAPSHOT_COPIES_MAX = 16;
export const SENT_SNAPSHOT_RATE_MIN: number = 1024 * 1024;
/** Waiting time before the rate of a client is judged. */
export const SENT_SNAPSHOT_GRACE_MS = 1_000;

/**
 * Periodic compaction: checks in a period, or in an hour of a longer one (etcd's divisor), and the bounds
 * of the interval. Revision compaction checks every five minutes, as etcd does.
 */
export const COMPACTION_ATTEMPTS = 10;
export const COMPACTION_INTERVAL_MS_MAX = 3_600_000;
export const COMPACTION_INTERVAL_MS_MIN = 1;
export const REVISION_COMPACTION_INTERVAL_MS = 300_000;

/** Interval of progress lines of a defragmentation. */
export const DEFRAGMENT_LOG_INTERVAL_MS = 10_000;

/**
 * How long a leader delays a new commit index for the append with the next entries. Serializable reads and
 * watchers of followers lag by as much; a read index is not affected, since the heartbeats that confirm it
 * carry the commit index.
 */
export const COMMIT_DELAY_MS = 1;

/**
 * Log lines of one kind (the same constant text): burst and sustained rate. Reached: further lines are
 * dropped and counted in the next one that is written.
 */
export const LOG_KIND_LINES_AT_ONCE = 100;
export const LOG_KIND_LINES_PER_SECOND = 10;

/** A request that takes longer leaves a line that says where the time went; etcd's. */
export const TRACE_THRESHOLD_MS = 100;

/** Kinds of lines that are tracked. Reached: the oldest kind is forgotten. */
export const LOG_KINDS_MAX = 1000;

/** Characters of one text in a line, which may come from others. Reached: it is cut, with a mark. */
export const LOG_TEXT_CHARS_MAX = 4096;
