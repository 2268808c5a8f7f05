// The row of a large value in pieces, so that the value is not copied:
//
//     head                                         value              tail
//     0a key 10 create 18 mod 20 version 2a length │ in the request's │ 30 lease
//                                                  │ own bytes        │ (or nothing)
//
// The value is that of the log entry, which raft keeps anyway. Whoever wants the row in one piece has it
// put together once.

import { copyPieces, crc32c, invariant, type Revision, verify } from '../base/index.ts';
import { sizeOfKeyValue, writeKeyOnly, writeLease, writeValueHead } from './key-value.ts';

/** An encoded `mvccpb.KeyValue`; its bytes never change. */
export class SplitRow {
  /** Bytes of all pieces. */
  readonly length: number;
  readonly #pieces: readonly Uint8Array[];
  #whole: Uint8Array | undefined = undefined;
  /** Under `verify.all`: of all pieces. */
  readonly #checksum: number;

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces;
    this.length = pieces.reduce((length, piece) => length + piece.length, 0);
    this.#checksum = verify.all ? checksumOf(pieces) : 0;
  }

  /** One behind the other they are the row. */
  get pieces(): readonly Uint8Array[] {
    if (verify.all) {
      invariant(checksumOf(this.#pieces) === this.#checksum, 'the bytes of a row never change');
    }
    return this.#pieces;
  }

  /** The row in one piece. */
  get whole(): Uint8Array {
    if (this.#whole === undefined) {
      const whole = new Uint8Array(this.length);
      this.write(whole, 0);
      this.#whole = whole;
    }
    return this.#whole;
  }

  /** Writes the row at `offset`; the caller made room. Returns the offset after. */
  write(target: Uint8Array, offset: number): number {
    const end = copyPieces(this.pieces, target, offset);
    invariant(end - offset === this.length, 'a row is as long as its pieces');
    return end;
  }
}

function checksumOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((checksum, piece) => crc32c(checksum, piece), 0);
}

/**
 * The KeyValue with `value[valueOffset, valueOffset + valueLength)`, which is not empty. From now on the
 * bytes of the value never change.
 */
export function splitKeyValue(
  key: string,
  createMain: Revision,
  modMain: Revision,
  version: number,
  value: Uint8Array,
  valueOffset: number,
  valueLength: number,
  lease: bigint,
): SplitRow {
  invariant(valueLength > 0, 'a value that is left in its place has bytes');
  const size = sizeOfKeyValue(key, createMain, modMain, version, valueLength, lease);
  const own = new Uint8Array(size - valueLength);
  let at = writeKeyOnly(key, createMain, modMain, version, own, 0);
  at = writeValueHead(valueLength, own, at);
  const head = own.subarray(0, at);
  const end = writeLease(lease, own, at);
  invariant(end === own.length, 'a row has the size that was counted');
  const pieces = [head, new Uint8Array(value.buffer, value.byteOffset + valueOffset, valueLength)];
  if (end > at) pieces.push(own.subarray(at));
  return new SplitRow(pieces);
}
