// Every bound of the client: unit, reason, and what happens when it is reached.

import { invariant } from '../base/index.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Largest request that is sent, as etcd's own clients have it. A larger one fails RESOURCE_EXHAUSTED
 * before anything is sent. Servers accept 1.5 MiB plus overhead by default.
 */
export const SEND_BYTES_MAX: number = 2 * MIB;

/**
 * Retries of a call that failed UNAVAILABLE: of a read always, of a write only if no server has processed
 * it. With the waits below, a server may restart within a second without failing calls. With several
 * endpoints, the number of rounds: each tries a majority of the endpoints, then waits.
 */
export const RETRIES_MAX = 5;
export const RETRY_WAIT_MS_MIN = 50;
export const RETRY_WAIT_MS_MAX = 1_000;

/**
 * Retries of a call because its token or its auth revision was outdated: immediately, then with the waits
 * above. The server has not executed such a call.
 */
export const TOKEN_RENEWALS_MAX = 5;

/** Default time for one endpoint to connect, and for one member to answer Authenticate. */
export const CONNECT_TIMEOUT_MS = 5_000;
/** Waits of one endpoint between failures to connect. */
export const CHANNEL_BACKOFF_MS_MIN = 100;
export const CHANNEL_BACKOFF_MS_MAX = 5_000;

/** Minimum interval of pings: servers close connections that ping more often. */
export const KEEPALIVE_INTERVAL_MS_MIN = 10_000;

/** Waits between attempts to reopen a watch or keep-alive stream; attempts are not limited. */
export const REOPEN_WAIT_MS_MIN = 50;
export const REOPEN_WAIT_MS_MAX = 5_000;

/**
 * The longest wait for keep-alives: shorter, since a lease may have a TTL of a few seconds.
 */
export const KEEP_ALIVE_REOPEN_WAIT_MS_MAX = 500;

/** Each wait varies by this fraction either way, so that clients do not return in lockstep. */
export const WAIT_JITTER = 0.2;

/**
 * Bytes of events that one watcher buffers for a slow reader. Beyond it the watch is cancelled at the
 * server, so that the others of the same stream go on, and created again at its position when the reader
 * has caught up. One response is always accepted, however large.
 */
export const WATCH_BUFFER_BYTES_MAX: number = 4 * MIB;
/** Overhead of an event in the buffer, added to its bytes. */
export const WATCH_EVENT_OVERHEAD_BYTES = 200;

/** Buffered responses of a kept lease; a newer one replaces the oldest. */
export const KEEP_ALIVE_BUFFER_MAX = 16;
/** A lease is renewed when this part of its time to live has passed. */
export const KEEP_ALIVE_FRACTION: number = 1 / 3;
/** A renewal that has not been answered is repeated after this long. */
export const KEEP_ALIVE_REPEAT_MS = 1_000;

/**
 * A renewal that is unanswered for this part of the TTL, on a silent stream, is repeated at another
 * endpoint, if there is one: early enough for one more attempt.
 */
export const KEEP_ALIVE_PATIENCE_FRACTION: number = 1 / 3;

/** Timeout of the member list in automatic syncs of the endpoints. */
export const AUTO_SYNC_TIMEOUT_MS = 5_000;

/** Buffered messages of a server stream; beyond it the stream is paused. */
export const STREAM_BUFFER_MESSAGES_MAX = 16;

/** Default number of keys of one page of a scan. */
export const SCAN_PAGE_KEYS = 1_000;

/** Longest delay that timers take. */
export const DELAY_MS_MAX: number = 2 ** 31 - 1;

invariant(RETRY_WAIT_MS_MIN <= RETRY_WAIT_MS_MAX, 'waits grow');
invariant(REOPEN_WAIT_MS_MIN <= REOPEN_WAIT_MS_MAX, 'waits grow');
