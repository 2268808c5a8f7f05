// Bounds of calls inside this process: value, reason, and what happens at the bound.

/** Bytes queued in one direction of a stream beyond which its sender should wait for room. */
export const LOCAL_HIGH_WATER_BYTES: number = 256 * 1024;

/**
 * Bytes queued in one direction of a stream at most: the call of a sender that does not wait ends with
 * RESOURCE_EXHAUSTED. A single larger message is accepted.
 */
export const LOCAL_QUEUED_BYTES_MAX: number = 16 * 1024 * 1024;

/** Longest delay of a timer; for a later deadline the timer is set again. */
export const TIMER_MS_MAX: number = 2 ** 31 - 1;
