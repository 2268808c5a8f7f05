// Every bound of the client: unit, reason, and what happens when it is reached.

import { invariant } from '../base/index.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Largest request that is sent, as etcd's own clients have it. A larger one fails RESOURCE_EXHAUSTED
 * before anything is sent. Servers take 1.5 MiB plus overhead unless told otherwise.
 */
export const SEND_BYTES_MAX: number = 2 * MIB;

/**
 * How often a call that failed UNAVAILABLE is tried again: a read always, a write only if no server
 * has begun it. With the waits below, a server that restarts within a second is not noticed. With
 * several endpoints, that many rounds: each asks as many of them as make a majority, then waits.
 */
export const RETRIES_MAX = 5;
export const RETRY_WAIT_MS_MIN = 50;
export const RETRY_WAIT_MS_MAX = 1_000;

/**
 * How often a call is made again because its token, or the state of users and roles that it was checked
 * against, was out of date: at once, then with the waits above. The server has done nothing then.
 */
export const TOKEN_RENEWALS_MAX = 5;

/** Time for one endpoint to connect, and for one member to give a token, unless told otherwise. */
export const CONNECT_TIMEOUT_MS = 5_000;
/** Waits of one endpoint between failures to connect. */
export const CHANNEL_BACKOFF_MS_MIN = 100;
export const CHANNEL_BACKOFF_MS_MAX = 5_000;

/** Least interval of pings, whatever the options say: servers end connections that ping more. */
export const KEEPALIVE_INTERVAL_MS_MIN = 10_000;

/** Waits between attempts to open a watch or keep-alive stream again; without a limit on attempts. */
export const REOPEN_WAIT_MS_MIN = 50;
export const REOPEN_WAIT_MS_MAX = 5_000;

/**
 * For keep-alives the longest: leases live for seconds, as long as the cluster may be without a leader.
 */
export const KEEP_ALIVE_REOPEN_WAIT_MS_MAX = 500;

/** Each wait varies by this fraction either way, so that clients do not return in lockstep. */
export const WAIT_JITTER = 0.2;

/**
 * Bytes of events that one watcher holds for a reader that is slow. Beyond it the watch is cancelled
 * at the server, so that the others of the same stream go on, and taken up again from where it was
 * when the reader has caught up. One response is always accepted, however large.
 */
export const WATCH_BUFFER_BYTES_MAX: number = 4 * MIB;
/** What an event in the buffer counts beside its bytes. */
export const WATCH_EVENT_OVERHEAD_BYTES = 200;

/** Answers of a kept lease that wait for a reader; the oldest is dropped for a newer one. */
export const KEEP_ALIVE_BUFFER_MAX = 16;
/** A lease is renewed when this part of its time to live has passed. */
export const KEEP_ALIVE_FRACTION: number = 1 / 3;
/** A renewal that has not been answered is repeated after this long. */
export const KEEP_ALIVE_REPEAT_MS = 1_000;

/**
 * A renewal that has waited for this part of the time to live, while nothing at all came, is sent
 * through another endpoint, if there is one: there is then time for one more.
 */
export const KEEP_ALIVE_PATIENCE_FRACTION: number = 1 / 3;

/** Time for the member list when endpoints are replaced by themselves. */
export const AUTO_SYNC_TIMEOUT_MS = 5_000;

/** Messages of a server stream that wait for a reader before the stream is paused. */
export const STREAM_BUFFER_MESSAGES_MAX = 16;

/** Keys of one page of a scan, unless told otherwise. */
export const SCAN_PAGE_KEYS = 1_000;

/** Longest delay that timers take. */
export const DELAY_MS_MAX: number = 2 ** 31 - 1;

invariant(RETRY_WAIT_MS_MIN <= RETRY_WAIT_MS_MAX, 'waits grow');
invariant(REOPEN_WAIT_MS_MIN <= REOPEN_WAIT_MS_MAX, 'waits grow');
