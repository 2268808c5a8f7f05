// The outside of an InternalRaftRequest, read and written without touching what is inside.
//
// A log entry's payload is an InternalRaftRequest: a header with the request id (field 100), one
// operation (the fields of {@link REQUEST_KIND}) and nothing else. A proposal carries the client's
// own bytes as the operation, never a re-encoding. Reading finds which operation it is and where its
// bytes lie; the operation's codec then decodes just those. Hot: once per proposal and once per entry.
//
// Field 2 is the v2 request that releases up to 3.5 wrote; releases up to 3.4 even log bare v2
// Requests. Neither is "unknown, skip", and nor is any other field this table lacks: see `readEnvelope`.

import { invariant, TetcdError, varintSize, writeVarint } from '../base/index.ts';

/** Operation kinds: the field numbers of InternalRaftRequest. */
export const REQUEST_KIND = {
  NONE: 0,
  V2: 2,
  RANGE: 3,
  PUT: 4,
  DELETE_RANGE: 5,
  TXN: 6,
  COMPACTION: 7,
  LEASE_GRANT: 8,
  LEASE_REVOKE: 9,
  ALARM: 10,
  LEASE_CHECKPOINT: 11,
  AUTH_ENABLE: 1000,
  AUTH_DISABLE: 1011,
  AUTHENTICATE: 1012,
  AUTH_STATUS: 1013,
  AUTH_USER_ADD: 1100,
  AUTH_USER_DELETE: 1101,
  AUTH_USER_GET: 1102,
  AUTH_USER_CHANGE_PASSWORD: 1103,
  AUTH_USER_GRANT_ROLE: 1104,
  AUTH_USER_REVOKE_ROLE: 1105,
  AUTH_USER_LIST: 1106,
  AUTH_ROLE_LIST: 1107,
  AUTH_ROLE_ADD: 1200,
  AUTH_ROLE_DELETE: 1201,
  AUTH_ROLE_GET: 1202,
  AUTH_ROLE_GRANT_PERMISSION: 1203,
  AUTH_ROLE_REVOKE_PERMISSION: 1204,
  CLUSTER_VERSION_SET: 1300,
  CLUSTER_MEMBER_ATTR_SET: 1301,
  DOWNGRADE_INFO_SET: 1302,
  DOWNGRADE_VERSION_TEST: 9900,
} as const;

export type RequestKind = (typeof REQUEST_KIND)[keyof typeof REQUEST_KIND];

const KNOWN_KINDS: ReadonlySet<number> = new Set(Object.values(REQUEST_KIND));

const FIELD_ID = 1;
const FIELD_HEADER = 100;
const HEADER_FIELD_ID = 1;

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;

/**
 * A request id is 16 bits of the member's id above 48 bits of time and counter. The lower 48 are a
 * number, unique within a member, so that waiters are found without a bigint.
 */
export const REQUEST_ID_LOW_BITS = 48;
const LOW_LIMIT = 2 ** REQUEST_ID_LOW_BITS;

/** Writes the 64-bit id `idHigh * 2^48 + idLow` as a varint. */
function writeRequestId(idHigh: number, idLow: number, target: Uint8Array, offset: number): number {
  let low = idLow % 0x1000_0000; // 28 bits: four groups of seven
  let high = idHigh * 0x10_0000 + Math.floor(idLow / 0x1000_0000); // the 36 bits above
  let at = offset;
  let groups = 0;
  while (high > 0 || low >= 128 || (groups > 0 && groups < 4 && low > 0)) {
    const group = groups < 4 ? low % 128 : high % 128;
    if (groups < 4) low = Math.floor(low / 128);
    else high = Math.floor(high / 128);
    groups++;
    const more = high > 0 || (groups < 4 && low > 0);
    target[at++] = more ? group | 128 : group;
    if (!more) return at;
  }
  target[at++] = low;
  return at;
}

/**
 * The payload of a log entry: an InternalRaftRequest with the operation `kind`, whose encoded
 * request is copied from `body[start, end)`, and a header with the id. Fields in ascending order, as
 * real members write them. The result shares its buffer with others; nobody changes it.
 */
export function encodeEnvelope(
  kind: RequestKind,
  idHigh: number,
  idLow: number,
  body: Uint8Array,
  start = 0,
  end: number = body.length,
): Uint8Array {
  invariant(idHigh >= 0 && idHigh < 0x1_0000, 'the upper part of a request id has 16 bits');
  invariant(idLow >= 0 && idLow < LOW_LIMIT, 'the lower part of a request id has 48 bits');
  const length = end - start;
  const tag = kind * 8 + WIRE_BYTES;
  const idSize = requestIdSize(idHigh, idLow);
  const size = 2 + 1 + 1 + idSize + varintSize(tag) + varintSize(length) + length;
  const offset = reserve(size);
  const target = slab;
  let at = offset;
  if (kind < FIELD_HEADER) at = writeOperation(tag, body, start, end, target, at);
  at = writeVarint(FIELD_HEADER * 8 + WIRE_BYTES, target, at);
  target[at++] = 1 + idSize;
  target[at++] = HEADER_FIELD_ID * 8 + WIRE_VARINT;
  at = writeRequestId(idHigh, idLow, target, at);
  if (kind > FIELD_HEADER) at = writeOperation(tag, body, start, end, target, at);
  invariant(at === offset + size, 'an envelope has the size that was reserved');
  return target.subarray(offset, at);
}

/**
 * Payloads are cut out of shared slabs: one of its own for each would cost an allocation outside the
 * JavaScript heap, and the collector's time to free it. A slab lives as long as the log in memory
 * holds one of its entries.
 */
const SLAB_BYTES = 64 * 1024;
/** A larger payload gets a buffer of its own. */
const SHARED_BYTES_MAX = SLAB_BYTES / 8;
let slab: Uint8Array = new Uint8Array(0);
let slabUsed = 0;

/** Sets `slab` to one with room and returns where in it. */
function reserve(size: number): number {
  if (size > SHARED_BYTES_MAX || slabUsed + size > slab.length) {
    slab = new Uint8Array(Math.max(size, SLAB_BYTES));
    slabUsed = 0;
  }
  const offset = slabUsed;
  slabUsed += size;
  return offset;
}

/** Bytes of a request id as a varint: seven bits each. */
function requestIdSize(idHigh: number, idLow: number): number {
  if (idHigh === 0) return varintSize(idLow);
  return Math.ceil((REQUEST_ID_LOW_BITS + 32 - Math.clz32(idHigh)) / 7);
}

function writeOperation(
  tag: number,
  body: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  let at = writeVarint(tag, target, offset);
  at = writeVarint(end - start, target, at);
  if (end - start < 64) for (let i = start; i < end; i++) target[at++] = body[i]!;
  else {
    target.set(start === 0 && end === body.length ? body : body.subarray(start, end), at);
    at += end - start;
  }
  return at;
}

/** What {@link readEnvelope} found. One reusable object per applier. */
export class RequestEnvelope {
  kind: RequestKind = REQUEST_KIND.NONE;
  /** Where the operation's encoded request lies in the payload. */
  bodyStart = 0;
  bodyEnd = 0;
  /** Upper 16 and lower 48 bits of the request id; both 0 if there is none. */
  idHigh = 0;
  idLow = 0;
}

/** Cursor over the payload; module state instead of a returned pair, since reading is not re-entered. */
let position = 0;
let varintHigh = 0;
let varintLow = 0;

/** Reads a varint into `varintLow` (lower 28 bits) and `varintHigh` (the 36 bits above). */
function readVarint(bytes: Uint8Array, end: number): void {
  let low = 0;
  let high = 0;
  let scale = 1;
  for (let group = 0; group < 10; group++) {
    if (position >= end) malformed('a varint runs past the end', position);
    const byte = bytes[position++]!;
    if (group < 4) {
      low += (byte & 127) * scale;
      scale = group === 3 ? 1 : scale * 128;
    } else {
      high += (byte & 127) * scale;
      scale *= 128;
    }
    if (byte < 128) {
      if (group === 9 && byte > 1) malformed('a varint has more than 64 bits', position);
      varintLow = low;
      varintHigh = high;
      return;
    }
  }
  malformed('a varint has more than ten bytes', position);
}

function readLength(bytes: Uint8Array, end: number): number {
  readVarint(bytes, end);
  const length = varintHigh * 0x1000_0000 + varintLow;
  if (length > end - position) malformed('a field runs past the end', position);
  return length;
}

function malformed(what: string, at: number): never {
  throw new TetcdError('MALFORMED', `etcdserverpb.InternalRaftRequest: ${what} at offset ${at}`);
}

/**
 * Reads the outside of an InternalRaftRequest. Throws MALFORMED for a broken message and
 * UNSUPPORTED for a field or combination that this release does not know: an entry that cannot be
 * applied must never be skipped, since the other members apply it.
 */
export function readEnvelope(payload: Uint8Array, into: RequestEnvelope): void {
  into.kind = REQUEST_KIND.NONE;
  into.bodyStart = 0;
  into.bodyEnd = 0;
  into.idHigh = 0;
  into.idLow = 0;
  const end = payload.length;
  position = 0;
  while (position < end) {
    readVarint(payload, end);
    const wire = varintLow & 7;
    const field = Math.floor((varintHigh * 0x1000_0000 + varintLow) / 8);
    if (field === FIELD_ID && wire === WIRE_VARINT) {
      readVarint(payload, end);
      acceptId(into);
    } else if (wire !== WIRE_BYTES) {
      malformed(`field ${field} has wire type ${wire}`, position);
    } else {
      const length = readLength(payload, end);
      const bodyEnd = position + length;
      if (field === FIELD_HEADER) readHeader(payload, bodyEnd, into);
      else acceptOperation(field, bodyEnd, into);
      position = bodyEnd;
    }
  }
  if (into.kind === REQUEST_KIND.NONE) {
    throw new TetcdError(
      'UNSUPPORTED',
      'a log entry holds an InternalRaftRequest with no operation',
    );
  }
}

function acceptOperation(field: number, bodyEnd: number, into: RequestEnvelope): void {
  if (!KNOWN_KINDS.has(field)) {
    throw new TetcdError(
      'UNSUPPORTED',
      `a log entry holds an InternalRaftRequest with the unknown field ${field}`,
    );
  }
  if (into.kind !== REQUEST_KIND.NONE) {
    throw new TetcdError(
      'UNSUPPORTED',
      `a log entry holds an InternalRaftRequest with the two operations ${into.kind} and ${field}`,
    );
  }
  into.kind = field as RequestKind;
  into.bodyStart = position;
  into.bodyEnd = bodyEnd;
}

function acceptId(into: RequestEnvelope): void {
  into.idLow = (varintHigh % 0x10_0000) * 0x1000_0000 + varintLow;
  into.idHigh = Math.floor(varintHigh / 0x10_0000);
}

/** Finds the id in a RequestHeader; user name and auth revision matter only with authentication. */
function readHeader(payload: Uint8Array, end: number, into: RequestEnvelope): void {
  while (position < end) {
    readVarint(payload, end);
    const wire = varintLow & 7;
    const field = Math.floor(varintLow / 8);
    if (wire === WIRE_VARINT) {
      readVarint(payload, end);
      if (field === HEADER_FIELD_ID) acceptId(into);
    } else if (wire === WIRE_BYTES) {
      position += readLength(payload, end);
    } else {
      malformed(`header field ${field} has wire type ${wire}`, position);
    }
  }
}
