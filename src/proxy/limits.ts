// Bounds of the proxies: value, reason, and what happens at the bound.

/** Time for a connection to an endpoint of the gateway. Reached: the endpoint counts as failed. */
export const ENDPOINT_CONNECT_TIMEOUT_MS = 5000;

/** Connections through the gateway, at two descriptors each. Reached: one more is closed at once. */
export const GATEWAY_CONNECTIONS_MAX = 20_000;

/** Attempts at a call that changes nothing, over connections that are lost. Reached: UNAVAILABLE. */
export const PASSED_ATTEMPTS_MAX = 5;

/**
 * How often all members are asked for an answer that is not older than one before; etcd's. Between rounds
 * members have time to catch up, at first this, then twice as much. Reached: UNKNOWN.
 */
export const STALE_ROUNDS_MAX = 5;
export const STALE_PAUSE_MS = 5;

/** Time between attempts to learn the newest revision before the proxy serves; etcd's. */
export const ORDER_RETRY_MS = 1000;

/** Largest request that a client may send; grpc-go's default, which etcd's proxy keeps. */
export const REQUEST_BYTES_MAX: number = 4 * 1024 * 1024;

/** Time for one member to accept a connection. Reached: it counts as failed until the next attempt. */
export const MEMBER_CONNECT_TIMEOUT_MS = 5000;

/** Waits between attempts to connect to a member that fails; each is longer than the one before. */
export const MEMBER_BACKOFF_MS_MIN = 100;
export const MEMBER_BACKOFF_MS_MAX = 5000;

/** Time for a health check's read; etcd's. Reached: unhealthy. */
export const HEALTH_TIMEOUT_MS = 1000;

/** Bytes of a member's metrics page that are passed on. Reached: the request fails. */
export const METRICS_PAGE_BYTES_MAX: number = 16 * 1024 * 1024;

/** Time without a byte of that page. Reached: the request fails. */
export const METRICS_TIMEOUT_MS = 5000;

/** Headers of a request over HTTP/1; Go's. Reached: it is refused. */
export const HTTP_HEADERS_BYTES_MAX: number = 1024 * 1024;

/** Time for a health check's watch to open; etcd's. Reached: unhealthy. */
export const HEALTH_WATCH_TIMEOUT_MS = 3000;

/** Time for the member list that endpoints are taken from. Reached: they stay until the next time. */
export const SYNC_TIMEOUT_MS = 5000;

/**
 * Newest events that a watch of the cluster keeps for watchers that are late or slow, in bytes and in
 * responses. Reached: the oldest are dropped, and who needs them asks the cluster.
 */
export const RECENT_BYTES_MAX: number = 1024 * 1024;
export const RECENT_RUNS_MAX = 1024;

/** The same over all watches. Reached: the watch that adds to them keeps nothing of its own. */
export const RECENT_BYTES_TOTAL_MAX: number = 64 * 1024 * 1024;

/** Watchers of all clients, at about half a KiB each. Reached: another one is refused. */
export const WATCHERS_MAX = 1_000_000;

/** Creations of one stream that wait for the cluster. Reached: no further requests are read. */
export const CREATIONS_MAX = 1024;

/** Size from which a watch response is sent in fragments, to those who take them; etcd's. */
export const FRAGMENT_BYTES: number = 2 * 1024 * 1024;

/** Waits before a lost stream that clients share is opened again. */
export const STREAM_RETRY_MS_MIN = 50;
export const STREAM_RETRY_MS_MAX = 2000;

/** Answers in the cache; etcd's. Reached: the least recently used one is dropped. */
export const CACHE_ENTRIES_MAX = 2048;
/** Of them, answers about ranges at the newest revision, each of which every write is compared with. */
export const CACHE_RANGES_MAX = 256;
/** Bytes of all answers in the cache, and of one. Reached: as above; a larger one is not kept. */
export const CACHE_BYTES_MAX: number = 64 * 1024 * 1024;
export const CACHE_ANSWER_BYTES_MAX: number = 1024 * 1024;

/**
 * Keys that a proxy owns by leasing, their bytes with values, and one value. Reached: the least recently
 * used is given up; a larger value is not kept.
 */
export const LEASED_KEYS_MAX = 65_536;
export const LEASED_BYTES_MAX: number = 64 * 1024 * 1024;
export const LEASED_VALUE_BYTES_MAX: number = 1024 * 1024;

/** Time for which a key that another one wanted is not acquired again; etcd's. */
export const REVOKED_PAUSE_MS = 2000;
/** Keys of which that is known. Reached: the oldest is forgotten. */
export const REVOKED_KEYS_MAX = 65_536;

/** Keys of a range that are revoked at the same time. Reached: the others wait. */
export const REVOKES_AT_ONCE = 64;

/** Seconds for which the keys of a proxy that is gone stay owned; etcd's. */
export const LEASING_TTL_S = 60;

/** Wait before what the leasing session failed at is tried again. Also the time to end it. */
export const LEASING_RETRY_MS = 1000;

/** Renewals of one stream that wait for the cluster. Reached: no further requests are read. */
export const RENEWALS_MAX = 10_000;

/** Wait before a registration is tried again; etcd's. Also the time to end one. */
export const REGISTRATION_RETRY_MS = 1000;
