// Bounds of sockets, each with what happens there.

/** Bytes in a socket's queue beyond which `write` returns false; nothing is refused. */
export const HIGH_WATER_BYTES: number = 64 * 1024;

/** Read buffer that all plain sockets share; what arrives beyond it comes with the next read. */
export const READ_BUFFER_BYTES: number = 64 * 1024;

/** Connections that wait in the operating system to be accepted; beyond it, it delays or refuses. */
export const BACKLOG_MAX = 1024;

/** Accepted connections that wait for a port to serve; later ones are closed. */
export const HELD_CONNECTIONS_MAX = 1024;

/** Time for the TLS handshake, and for the bytes that show the protocol; then the connection is closed. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Idle time before TCP keepalive probes; etcd's 30 seconds. */
export const KEEPALIVE_IDLE_MS = 30_000;

/**
 * Accepted connections that are not secured yet, at a port. They cost 5 KiB each, 17 KiB once their
 * handshake has begun; beyond it, the oldest is closed.
 */
export const HANDSHAKES_MAX = 8_192;

/**
 * Handshakes begun per turn of the event loop, later ones in the next: each takes one to two
 * milliseconds of the thread that also sends heartbeats.
 */
export const HANDSHAKES_PER_TURN_MAX = 8;

/** Bytes of a certificate file; half a million revoked certificates take 20 MB. A larger one is refused. */
export const CERTIFICATE_FILE_BYTES_MAX: number = 64 * 1024 * 1024;

/** Clients whose addresses are compared with the names in their certificates; others wait. */
export const ADDRESS_CHECKS_MAX = 64;

/** Names of one certificate that are looked up; later ones count as not matching. */
export const CHECKED_NAMES_MAX = 32;

/** Lookups at a time for certificates, of the two that libuv runs for the whole process; others wait. */
export const LOOKUPS_MAX = 1;

/** A try at the names of an address; the second try is the last. */
export const REVERSE_LOOKUP_TIMEOUT_MS = 2_000;
export const REVERSE_LOOKUP_TRIES = 2;

/** A question to one name server, and how often it is asked; then the next one, or none. Go's. */
export const SERVICE_LOOKUP_TIMEOUT_MS = 5_000;
export const SERVICE_LOOKUP_TRIES = 2;
