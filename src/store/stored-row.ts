// Reads the few parts of a stored `mvccpb.KeyValue` that boot needs, without an object per row.
//
//   field  wire    meaning
//   1      bytes   key
//   2      varint  create_revision
//   3      varint  mod_revision
//   4      varint  version
//   5      bytes   value (passed over)
//   6      varint  lease, 64 bits
//
// A tombstone's row holds only the key. Hot at boot: once per row, a million times.

import { latin1FromBytes, TetcdError } from '../base/index.ts';

const FIELD_KEY = 1;
const FIELD_CREATE_REVISION = 2;
const FIELD_VERSION = 4;
const FIELD_LEASE = 6;

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;

const TWO_POW_28 = 0x1000_0000;

/** A reusable answer of {@link readStoredRow}. */
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

/** Where reading stands; module state, since reading is not re-entered. */
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
    const wire = tag & 7;
    if (wire === WIRE_BYTES) {
      readVarint(bytes, end);
      const length = high * TWO_POW_28 + low;
      if (length > end - position) corrupt('a field runs past the end');
      if (tag >> 3 === FIELD_KEY) into.key = latin1FromBytes(bytes, position, position + length);
      position += length;
    } else if (wire === WIRE_VARINT) {
      readVarint(bytes, end);
      acceptNumber(tag >> 3, into);
    } else {
      corrupt(`a field has wire type ${wire}`);
    }
  }
}

function acceptNumber(field: number, into: StoredRow): void {
  if (field === FIELD_LEASE) {
    into.leaseLow = low;
    into.leaseHigh = high;
    return;
  }
  const value = high * TWO_POW_28 + low;
  if (value > Number.MAX_SAFE_INTEGER) {
    throw new TetcdError('NUMBER_TOO_LARGE', 'key bucket: a stored count is above 2^53-1');
  }
  if (field === FIELD_CREATE_REVISION) into.createRevision = value;
  else if (field === FIELD_VERSION) into.version = value;
}

function readVarint(bytes: Uint8Array, end: number): void {
  low = 0;
  high = 0;
  let scale = 1;
  for (let group = 0; group < 10; group++) {
    if (position >= end) corrupt('a number runs past the end');
    const byte = bytes[position++]!;
    if (group < 4) low += (byte & 127) * scale;
    else high += (byte & 127) * scale;
    if (byte < 128) return;
    scale = group === 3 ? 1 : scale * 128;
  }
  corrupt('a number has more than ten bytes');
}

function corrupt(what: string): never {
  throw new TetcdError('CORRUPT', `key bucket: a value is no mvccpb.KeyValue: ${what}`);
}
