// Every bound of the transport: unit, reason, and what happens when it is reached. Where etcd has a
// number, it is the same.

import { invariant } from '../base/index.ts';

const KIB = 1024;
const MIB = 1024 * 1024;

// --- HTTP/1.1 ------------------------------------------------------------------------------------

/** A line of a head, without its end. A longer one: 431 to a request, the end for an answer. */
export const LINE_BYTES_MAX: number = 16 * KIB;
/** A whole head; room for some long lines. A longer one: as a long line. */
export const HEAD_BYTES_MAX: number = 64 * KIB;
/** Headers of a head, or of a trailer. One more: as a long line. */
export const HEADERS_MAX = 100;
/** The line before a chunk: 16 hexadecimal digits and room for a chunk extension. Longer: 400. */
export const CHUNK_LINE_BYTES_MAX = 256;
/** Body of a request that is not a raft message or a snapshot. A longer one: 413. */
export const SMALL_BODY_BYTES_MAX: number = 64 * KIB;
/** Body of an answer that refuses something. A longer one breaks the connection. */
export const REFUSAL_BYTES_MAX: number = 64 * KIB;
/** Body bytes that wait for their reader. Beyond, the byte stream is paused. */
export const BODY_QUEUE_BYTES: number = 256 * KIB;
/** Interim (1xx) heads before one answer. One more breaks the connection. */
export const INTERIM_HEADS_MAX = 8;
/**
 * Incoming connections; ten per member would be many. One more closes the oldest connection without a
 * request; if there is none, the new one is closed.
 */
export const SERVER_CONNECTIONS_MAX = 512;
/** Body bytes still read after the response, to keep the connection; Go's number. */
export const DISCARDED_BYTES_MAX: number = 256 * KIB;
/** Delay between the last response and the close, in which the other side can read it. */
export const LINGER_MS = 500;
/** Time for a request with its body, snapshots included, to arrive; then the connection ends. */
export const REQUEST_READ_MS_MAX: number = 5 * 60_000;

// --- messages ------------------------------------------------------------------------------------

/** One frame of a stream, or one posted message. A longer one ends the connection. */
export const FRAME_BYTES_MAX: number = 512 * MIB;
/** Bytes of all posted messages that are arriving. A message that would exceed it: 400. */
export const POSTED_BYTES_MAX: number = FRAME_BYTES_MAX;
/** The message before a database. A longer one: 400. */
export const SNAPSHOT_MESSAGE_BYTES_MAX: number = 64 * MIB;
/** A frame that announces more is given memory only as its bytes arrive. */
export const FRAME_BYTES_TRUSTED: number = 1 * MIB;

/** Messages that wait in one stream. One more is dropped and the peer reported unreachable. */
export const STREAM_MESSAGES_MAX = 4_096;
/**
 * Bytes that wait in one stream: 128 appends of raft's 512 KiB. A message that would exceed it, and
 * is not alone, is dropped and the peer reported unreachable.
 */
export const STREAM_BYTES_MAX: number = 64 * MIB;
/**
 * Bytes of a stream that the byte stream may buffer. The rest stays in our queue, so that a stall of
 * 5 s is detected: a socket reports only that it has taken all of its buffer.
 */
export const HANDED_BYTES_MAX: number = 256 * KIB;
/** Frames are written one after the other into buffers of this size. */
export const FRAME_SLAB_BYTES: number = 64 * KIB;
/**
 * Largest append that may use the message stream while the append stream is missing; larger ones
 * are posted, so that no heartbeat waits behind them.
 */
export const APPEND_ON_MESSAGE_STREAM_BYTES_MAX: number = 64 * KIB;

/** Concurrent posts of raft messages to one member. */
export const PIPELINE_WORKERS = 4;
/** Messages that wait for a post. One more is dropped and the peer reported unreachable. */
export const PIPELINE_MESSAGES_MAX = 64;
/** Bytes of those; the same happens. */
export const PIPELINE_BYTES_MAX: number = 64 * MIB;
/** Members known by their address only. One more replaces the oldest. */
export const REMOTES_MAX = 64;
/** A body that comes more slowly than this, in bytes per second, breaks the connection. */
export const BODY_RATE_MIN: number = 16 * KIB;
/**
 * One snapshot arrives at a time; another is refused with 500. But the leader's replaces any other
 * member's, and any replaces one that arrives more slowly than this, in bytes per second.
 */
export const RECEIVED_SNAPSHOT_RATE_MIN: number = 1 * MIB;
/** Waiting time before the rate of an arriving snapshot is judged. */
export const RECEIVED_SNAPSHOT_GRACE_MS = 1_000;
/** Idle connections kept for posts and probes, per address. Others are closed after use. */
export const IDLE_CONNECTIONS_MAX: number = PIPELINE_WORKERS + 1;

// --- times in milliseconds -----------------------------------------------------------------------

export const IO_TIMEOUT_MS_DEFAULT = 5_000;
/** By what share of a timeout its timer may come later, with others: an idle member wakes up less. */
export const TIMER_SLACK = 0.04;
/** Added to the election timeout: limit of a dial, and of the wait for the first answer on a stream. */
export const DIAL_TIMEOUT_BASE_MS = 1_000;
/** Between two dials of one stream. */
export const DIAL_RETRY_MS = 100;
/** A probe is due this much earlier than the read deadline of the connection it keeps alive. */
export const PROBE_MARGIN_MS = 1_000;
/** Interval of the check that logs failing probes: while all succeed, and while some fail. */
export const PROBE_MONITOR_MS = 30_000;
export const PROBE_MONITOR_ERROR_MS = 5_000;
/** A larger difference of the clocks is logged. */
export const CLOCK_DIFFERENCE_MS_MAX = 1_000;
/** Time for which the receiver of a snapshot may take nothing, busy with its disk. */
export const SNAPSHOT_STALL_MS_MAX = 30_000;
/** From the last byte of a snapshot to the answer: the receiver syncs the file in between. */
export const SNAPSHOT_ANSWER_MS_MAX: number = 5 * 60_000;
/** Time limit of a post, in i/o timeouts. */
export const POST_TIMEOUTS = 2;

invariant(
  BODY_RATE_MIN < RECEIVED_SNAPSHOT_RATE_MIN,
  'a sender that is cut off was below the rate of replacement before',
);
invariant(LINE_BYTES_MAX < HEAD_BYTES_MAX, 'a line fits into a head');
invariant(HANDED_BYTES_MAX >= 2 * FRAME_SLAB_BYTES, 'a stream is handed more than a slab');
