// Bounds of calls inside this process: what they are, why, and what happens when one is reached.

/** Bytes on their way in one direction of a stream from which on its sender is asked to wait for room. */
export const LOCAL_HIGH_WATER_BYTES: number = 256 * 1024;

/**
 * Bytes on their way in one direction of a stream after which nothing more is taken: a sender that does
 * not wait loses its call with RESOURCE_EXHAUSTED. A single larger message passes.
 */
export const LOCAL_QUEUED_BYTES_MAX: number = 16 * 1024 * 1024;

/** Longest delay of a timer; a call with a later deadline is looked at then. */
export const TIMER_MS_MAX: number = 2 ** 31 - 1;
