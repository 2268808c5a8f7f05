// A header list that is sent repeatedly: encoded once, then copied as long as the encoder's table does
// not change.

import { EMPTY_BYTES } from '../../base/index.ts';
import { encodedFieldMax, type HpackEncoder, INDEXING } from './encoder.ts';

/** Room that a table size update may take at the beginning of a block. */
const SIZE_UPDATE_MAX = 12;

export class RepeatedBlock {
  /** Most bytes that {@link write} will write. */
  readonly sizeMax: number;
  readonly #fields: ReadonlyArray<readonly [name: string, value: string]>;
  #bytes: Uint8Array = EMPTY_BYTES;
  /** The encoder's generation at which `#bytes` may be sent; -1 for never. */
  #generation = -1;

  /** A block belongs to one encoder. */
  constructor(fields: ReadonlyArray<readonly [name: string, value: string]>) {
    this.#fields = fields;
    let sizeMax = SIZE_UPDATE_MAX;
    for (const [name, value] of fields) sizeMax += encodedFieldMax(name, value);
    this.sizeMax = sizeMax;
  }

  /** Whether {@link write} would only copy: nothing is inserted, so that it can be undone. */
  settled(encoder: HpackEncoder): boolean {
    return this.#generation === encoder.generation;
  }

  /** Writes the block at `offset`; the caller made room. Returns the offset after. */
  write(encoder: HpackEncoder, target: Uint8Array, offset: number): number {
    if (this.#generation === encoder.generation) {
      const bytes = this.#bytes;
      // A handful of bytes: a loop beats `set`, which would be a call into the runtime.
      for (let i = 0; i < bytes.length; i++) target[offset + i] = bytes[i]!;
      return offset + bytes.length;
    }
    return this.#encode(encoder, target, offset);
  }

  #encode(encoder: HpackEncoder, target: Uint8Array, offset: number): number {
    let at = encoder.begin(target, offset);
    const before = encoder.generation;
    for (const [name, value] of this.#fields) {
      at = encoder.field(name, value, INDEXING.YES, target, at);
    }
    // A block that inserts entries must not be sent twice; the next encoding consists of indexes.
    if (encoder.generation === before) {
      // Not `slice`: of a Buffer that would be a view.
      this.#bytes = Uint8Array.from(target.subarray(offset, at));
      this.#generation = before;
    }
    return at;
  }
}
