// The current entry of a cursor, or on which side of all entries it is.

import { EMPTY_BYTES, invariant } from '../../base/index.ts';

export const BEFORE = 0;
export const ON = 1;
export const BEHIND = 2;

/** What the cursors of read and of write transactions share. */
export abstract class CursorEntry {
  keyBytes: Uint8Array = EMPTY_BYTES;
  keyOffset = 0;
  keyLength = 0;
  valueBytes: Uint8Array = EMPTY_BYTES;
  valueOffset = 0;
  valueLength = 0;
  isBucket = false;
  protected state: number = BEFORE;

  get valid(): boolean {
    return this.state === ON;
  }

  /** Leaves the entries, in front of them or behind; returns false. */
  protected stop(state: number): boolean {
    invariant(state !== ON, 'a cursor leaves the entries to one side');
    this.state = state;
    this.keyBytes = EMPTY_BYTES;
    this.keyOffset = 0;
    this.keyLength = 0;
    this.valueBytes = EMPTY_BYTES;
    this.valueOffset = 0;
    this.valueLength = 0;
    this.isBucket = false;
    return false;
  }
}
