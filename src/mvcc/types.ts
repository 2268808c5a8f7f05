// What this folder asks of the store, and the small records that pass between them.
//
// Everything here is synchronous and deterministic. Records are reused: a method that fills `into`
// overwrites every field, and the caller copies what it wants to keep.

import { EMPTY_BYTES, type Revision } from '../base/index.ts';
import type { SplitRow } from './split-row.ts';

/** Where some bytes lie: `buffer[offset, offset + length)`. A reusable answer. */
export class ByteSlice {
  buffer: Uint8Array = EMPTY_BYTES;
  offset = 0;
  length = 0;
}

/** Reads rows of the key bucket. */
export interface RowReader {
  /**
   * Points `into` at the stored `mvccpb.KeyValue` of a revision that the index named. The bytes
   * never change afterwards and stay valid as long as the buffer is referenced. A missing row is
   * CORRUPT.
   */
  readRow(main: Revision, sub: number, into: ByteSlice): void;
}

/** Reads and appends rows of the key bucket. */
export interface RowWriter extends RowReader {
  /**
   * Appends a row above all rows before it and points `into` at `length` bytes for its value, which
   * the caller fills wholly before any other call. A put is readable by `readRow` at once.
   */
  appendRow(main: Revision, sub: number, tombstone: boolean, length: number, into: ByteSlice): void;
  /** Rows whose values have at least so many bytes come by {@link appendSplitRow}. */
  readonly splitValueBytesMin: number;
  /** As {@link appendRow}, of a put whose bytes are there. They never change, and are not copied. */
  appendSplitRow(main: Revision, sub: number, row: SplitRow): void;
}

/**
 * What the writer needs of leases. A slot is a small positive number that stands for a lease as long
 * as any key is attached to it; 0 stands for none. The index keeps one slot per key, so that no map
 * from keys to leases is needed.
 */
export interface LeaseHooks {
  /** The slot of a lease, 0 if there is no such lease. */
  slotOf(leaseId: bigint): number;
  /** The key was put with this lease; it was not attached to it before. */
  attach(slot: number, key: string): void;
  /** The key was deleted or put with another lease (or none). */
  detach(slot: number, key: string): void;
}

/** What the index knows of one key at one revision. A reusable answer. */
export class KeyState {
  /** Revision of the newest change at or before the revision asked for. */
  modMain: Revision = 0;
  modSub = 0;
  /** Main revision of the put that created the key. */
  createMain: Revision = 0;
  /** Puts since creation, counting it: 1 for a new key. */
  version = 0;
  /** Slot of the lease at the newest revision (not at the one asked for); 0 if none. */
  leaseSlot = 0;
}
