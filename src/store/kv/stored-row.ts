// Reads the fields of a stored `mvccpb.KeyValue` that boot needs, without an object per row.
//
//   field  wire    meaning
//   1      bytes   key
//   2      varint  create_revision
//   3      varint  mod_revision
//   4      varint  version
//   5      bytes   value (skipped)
//   6      varint  lease, 64 bits
//
// A tombstone's row holds only the key. Hot at boot: once per row, a million times. A row with other
// fields, which no release writes, is decoded by the codec.

import { ERROR_CODES, hasCode, latin1FromBytes, TetcdError } from '../../base/index.ts';
import { mvccpb } from '../../protocol/index.ts';

const TAG_KEY = 0x0a;
const TAG_CREATE_REVISION = 0x10;
const TAG_MOD_REVISION = 0x18;
const TAG_VERSION = 0x20;
const TAG_VALUE = 0x2a;
const TAG_LEASE = 0x30;

const TWO_POW_28 = 0x1000_0000;

const NO_ROW = 'a value is no mvccpb.KeyValue';

/** A reusable result of {@link readStoredRow}. */
export class StoredRow {
  /** One char per byte. */
  key = '';
  createRevision = 0;
  version = 0;
  /** Lower 28 and upper 36 bits of the lease id; both 0 for none. */
  leaseLow = 0;
  leaseHigh = 0;

  /** The lease id as clients write it. */
  leaseId(): bigint {
    return BigInt.asIntN(64, (BigInt(this.leaseHigh) << 28n) | BigInt(this.leaseLow));
  }
}

/** Read position; module state, since reading is not re-entered. */
let position = 0;
let low = 0;
let high = 0;

/** Reads `bytes[start, end)`; CORRUPT if it is no KeyValue. */
export function readStoredRow(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: StoredRow,
): void {
  into.key = '';
  into.createRevision = 0;
  into.version = 0;
  into.leaseLow = 0;
  into.leaseHigh = 0;
  position = start;
  while (position < end) {
    const tag = bytes[position++]!;
    switch (tag) {
      case TAG_KEY:
      case TAG_VALUE: {
        readVarint(bytes, end);
        const length = high * TWO_POW_28 + low;
        if (length > end - position) corrupt('a field runs past the end');
        if (tag === TAG_KEY) into.key = latin1FromBytes(bytes, position, position + length);
        position += length;
        break;
      }
      case TAG_CREATE_REVISION:
        into.createRevision = readCount(bytes, end);
        break;
      case TAG_MOD_REVISION:
        readCount(bytes, end);
        break;
      case TAG_VERSION:
        into.version = readCount(bytes, end);
        break;
      case TAG_LEASE:
        readVarint(bytes, end);
        into.leaseLow = low;
        into.leaseHigh = high;
        break;
      default:
        readUnusual(bytes, start, end, into);
        return;
    }
  }
}

function readUnusual(bytes: Uint8Array, start: number, end: number, into: StoredRow): void {
  let pair: mvccpb.KeyValue;
  try {
    pair = mvccpb.KeyValueCodec.decode(bytes, start, end);
  } catch (error) {
    if (!hasCode(error, ERROR_CODES.MALFORMED)) throw error;
    throw new TetcdError(ERROR_CODES.CORRUPT, `${NO_ROW}: ${error.message}`, { cause: error });
  }
  into.key = latin1FromBytes(pair.key);
  into.createRevision = pair.createRevision;
  into.version = pair.version;
  const lease = BigInt.asUintN(64, pair.lease);
  into.leaseLow = Number(lease % BigInt(TWO_POW_28));
  into.leaseHigh = Number(lease / BigInt(TWO_POW_28));
}

function readCount(bytes: Uint8Array, end: number): number {
  readVarint(bytes, end);
  const value = high * TWO_POW_28 + low;
  if (value > Number.MAX_SAFE_INTEGER) {
    throw new TetcdError(ERROR_CODES.NUMBER_TOO_LARGE, 'a stored count is above 2^53-1');
  }
  return value;
}

function readVarint(bytes: Uint8Array, end: number): void {
  low = 0;
  high = 0;
  let scale = 1;
  for (let group = 0; group < 10; group++) {
    if (position >= end) corrupt('a number runs past the end');
    const byte = bytes[position++]!;
    if (group < 4) low += (byte & 127) * scale;
    // The tenth byte has room for one bit.
    else high += (byte & (group === 9 ? 1 : 127)) * scale;
    if (byte < 128) return;
    scale = group === 3 ? 1 : scale * 128;
  }
  corrupt('a number has more than ten bytes');
}

function corrupt(what: string): never {
  throw new TetcdError(ERROR_CODES.CORRUPT, `${NO_ROW}: ${what}`);
}
