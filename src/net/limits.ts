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
