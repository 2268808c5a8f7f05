// Units and bounds of the simulated world.

/** Bytes that a disk writes as a whole: an unsynced write can be torn between, not within, these. */
export const SECTOR_SIZE = 512;

/** Bytes in which file contents are kept and capacity is counted. */
export const PAGE_SIZE = 4096;

/** Simulated time that one turn of the event loop takes, so that endless turns let time pass. */
export const TURN_MS = 0.01;

/** Operations kept by a disk's trace; a longer run throws, since it would be too long to read. */
export const TRACE_LENGTH_MAX = 1_000_000;

/** Events of one `run`; more means that the simulated program runs in circles. */
export const EVENTS_PER_RUN_MAX = 50_000_000;

/** Bytes on their way or unread in one direction of a stream: a socket's two buffers. */
export const STREAM_WINDOW_SIZE = 256 * 1024;

/** Bytes queued by `write` beyond which it returns false; what Node's sockets use. */
export const STREAM_HIGH_WATER_SIZE = 16 * 1024;

/** Largest piece in which a stream delivers. */
export const STREAM_PIECE_SIZE_MAX = 64 * 1024;
