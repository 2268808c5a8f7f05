// The dynamic table of RFC 7541 section 2.3.2: a first-in first-out list of fields, bounded in bytes.
//
//     slots   [ . . . oldest ......... newest . . ]      a ring
//     index     62 is the newest, 62 + count - 1 the oldest
//
// Every entry ever inserted has a serial number (0, 1, 2, ...), which encoders remember: the newest is
// `inserted - 1`, the oldest `inserted - count`.

import { invariant } from '../../base/index.ts';
import { FIELD_OVERHEAD, type HeaderField } from './field.ts';

export class DynamicTable {
  /** Entries inserted since the beginning: also the table's generation. */
  inserted = 0;
  count = 0;
  /** Sum of the entries' sizes; at most `bytesMax`. */
  bytes = 0;
  bytesMax: number;
  readonly #slots: Array<HeaderField | undefined>;
  readonly #mask: number;

  /** `capacityBytes` is the most that `bytesMax` can ever be. */
  constructor(capacityBytes: number) {
    this.bytesMax = capacityBytes;
    let slots = 1;
    while (slots < capacityBytes / FIELD_OVERHEAD) slots *= 2;
    this.#slots = new Array<HeaderField | undefined>(slots).fill(undefined);
    this.#mask = slots - 1;
  }

  /** The entry `age` insertions back, 0 being the newest; undefined beyond the oldest. */
  at(age: number): HeaderField | undefined {
    if (age >= this.count) return undefined;
    return this.#slots[(this.inserted - 1 - age) & this.#mask];
  }

  /**
   * Makes room and inserts. A field larger than the whole table empties it and is not inserted
   * (RFC 7541 section 4.4); then false.
   */
  insert(field: HeaderField): boolean {
    if (field.size > this.bytesMax) {
      this.#evictTo(0);
      return false;
    }
    this.#evictTo(this.bytesMax - field.size);
    this.#slots[this.inserted & this.#mask] = field;
    this.inserted++;
    this.count++;
    this.bytes += field.size;
    invariant(this.count <= this.#mask + 1, 'the ring holds what the byte limit allows');
    return true;
  }

  /** Changes the limit; the caller has checked it against the capacity. */
  resize(bytesMax: number): void {
    this.bytesMax = bytesMax;
    this.#evictTo(bytesMax);
  }

  #evictTo(bytes: number): void {
    while (this.bytes > bytes) {
      const slot = (this.inserted - this.count) & this.#mask;
      this.bytes -= this.#slots[slot]!.size;
      this.#slots[slot] = undefined;
      this.count--;
    }
  }
}
