// Sizes of the format, and the bounds of the queue and buffers.

import { invariant } from '../base/index.ts';

/** Size of a segment beyond which the next one is begun, and to which it is filled with zeros. */
export const SEGMENT_SIZE_DEFAULT = 64_000_000;

/** The length word before each record. */
export const LENGTH_WORD_SIZE = 8;

/** Frames begin at multiples of this, so that a length word is never torn. */
export const FRAME_ALIGNMENT = 8;

/** A write can be torn between, not within, these. */
export const SECTOR_SIZE = 512;

/**
 * Appends that may wait for the disk. One Ready makes one append, so this is as many turns of the
 * event loop; a caller that ignores `waitingAppends` gets LIMIT_EXCEEDED at the bound.
 */
export const APPENDS_WAITING_MAX = 100_000;

/**
 * Encoded bytes after which a batch is closed for further appends: one write and one sync of it take about
 * 10 ms on a slow SSD (400 MB/s). One append larger than that is a batch of its own.
 */
export const BATCH_SIZE_MAX = 4 * 1024 * 1024;

/** Initial size of the encode buffer, and its size again after a larger batch. */
export const BUFFER_SIZE = 256 * 1024;

/** An encode buffer larger than this is dropped after use. */
export const BUFFER_SIZE_KEPT_MAX: number = BATCH_SIZE_MAX + BUFFER_SIZE;

/**
 * Bytes up to which a batch is written in this turn rather than by the thread pool. Measured: 13 us of
 * this thread for 128 KiB, 22 for 256; by the pool 44 and 61, and twice the CPU.
 */
export const WRITE_SYNC_SIZE_MAX = 1024 * 1024;

/**
 * A record that looks torn but is followed by intact ones for more than this many bytes is damaged: a
 * torn one is in the last write, and our writes are smaller than this (`BATCH_SIZE_MAX` and one
 * append), as are etcd's.
 */
export const TORN_REACH_MAX: number = 16 * 1024 * 1024;

/** Bytes read at a time; entries are views of such blocks, which they keep alive. */
export const READ_BLOCK_SIZE = 1024 * 1024;

/** Bytes of zeros written at a time, and before a new log is used. */
export const FILL_SIZE_DEFAULT: number = 1024 * 1024;

/** While filling with zeros, pause this many times as long as the last chunk took: commits go first. */
export const FILL_REST_FACTOR = 2;

/** The rest of the segment that a log is opened with is filled after this: the start goes first. */
export const FILL_DELAY_MS = 1000;

/** Part of a segment that is in use when the preparation of the next one begins. */
export const PREPARE_AT_FRACTION = 0.5;

/** After a failure to prepare it, the next attempt comes this part of a segment later. */
export const PREPARE_RETRY_FRACTION = 0.125;

invariant(TORN_REACH_MAX > 2 * BATCH_SIZE_MAX, 'a torn batch is within reach');
invariant(SECTOR_SIZE % FRAME_ALIGNMENT === 0, 'a length word never crosses a sector');
invariant(LENGTH_WORD_SIZE <= FRAME_ALIGNMENT, 'a length word never crosses a sector');
