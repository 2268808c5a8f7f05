// The envelope of an InternalRaftRequest, read and written without decoding the operation in it.
//
// A log entry's payload is an InternalRaftRequest: a header (field 100) with the request id and, with
// authentication, the user; one operation (the fields of {@link REQUEST_KIND}); nothing else. A proposal
// carries the client's own bytes as the operation, never a re-encoding. Reading finds the kind of the
// operation and the range of its bytes, which the operation's codec then decodes. Hot: once per proposal
// and once per entry.
//
// Field 2 is the v2 request that releases up to 3.5 wrote; releases up to 3.4 even log bare v2
// Requests. Both must be applied, not skipped as unknown.
//
// A real member may have logged a message of unusual form: fields of another wire type, one field in
// several parts, two operations. As in etcd, one operation of it is applied.

import { type AuthInfo, mayBeReplaced } from '../../auth/index.ts';
import {
  EMPTY_BYTES,
  ERROR_CODES,
  invariant,
  TetcdError,
  utf8FromBytes,
  varintSize,
  writeVarint,
} from '../../base/index.ts';
import { etcdserverpb, type FieldSpan, fieldSpans, isUtf8 } from '../../protocol/index.ts';

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

/** Order in which etcd chooses among several operations: the first one is applied. */
const KINDS_IN_ORDER: readonly RequestKind[] = [
  REQUEST_KIND.CLUSTER_VERSION_SET,
  REQUEST_KIND.CLUSTER_MEMBER_ATTR_SET,
  REQUEST_KIND.DOWNGRADE_INFO_SET,
  REQUEST_KIND.DOWNGRADE_VERSION_TEST,
  REQUEST_KIND.RANGE,
  REQUEST_KIND.PUT,
  REQUEST_KIND.DELETE_RANGE,
  REQUEST_KIND.TXN,
  REQUEST_KIND.COMPACTION,
  REQUEST_KIND.LEASE_GRANT,
  REQUEST_KIND.LEASE_REVOKE,
  REQUEST_KIND.LEASE_CHECKPOINT,
  REQUEST_KIND.ALARM,
  REQUEST_KIND.AUTHENTICATE,
  REQUEST_KIND.AUTH_ENABLE,
  REQUEST_KIND.AUTH_DISABLE,
  REQUEST_KIND.AUTH_STATUS,
  REQUEST_KIND.AUTH_USER_ADD,
  REQUEST_KIND.AUTH_USER_DELETE,
  REQUEST_KIND.AUTH_USER_CHANGE_PASSWORD,
  REQUEST_KIND.AUTH_USER_GRANT_ROLE,
  REQUEST_KIND.AUTH_USER_GET,
  REQUEST_KIND.AUTH_USER_REVOKE_ROLE,
  REQUEST_KIND.AUTH_ROLE_ADD,
  REQUEST_KIND.AUTH_ROLE_GRANT_PERMISSION,
  REQUEST_KIND.AUTH_ROLE_GET,
  REQUEST_KIND.AUTH_ROLE_REVOKE_PERMISSION,
  REQUEST_KIND.AUTH_ROLE_DELETE,
  REQUEST_KIND.AUTH_USER_LIST,
  REQUEST_KIND.AUTH_ROLE_LIST,
  REQUEST_KIND.V2,
];
const FIELD_ID = 1;
const FIELD_HEADER = 100;
const HEADER_FIELD_ID = 1;
const HEADER_FIELD_USERNAME = 2;
const HEADER_FIELD_AUTH_REVISION = 3;

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;

/**
 * A request id is 16 bits of the member's id above 48 bits of time and counter. The lower 48 are a
 * number, unique within a member, so that waiters are found without a bigint.
 */
export const REQUEST_ID_LOW_BITS = 48;
const LOW_LIMIT = 2 ** REQUEST_ID_LOW_BITS;
const TWO_28 = 2 ** 28;

/** Writes the 64-bit id `idHigh * 2^48 + idLow` as a varint: from parts of 28 bits, four bytes each. */
function writeRequestId(idHigh: number, idLow: number, target: Uint8Array, offset: number): number {
  const above = Math.floor(idLow / TWO_28);
  const low = idLow - above * TWO_28;
  const middle = above | ((idHigh & 255) << 20);
  const high = idHigh >>> 8;
  if (middle === 0 && high === 0) return writeVarint(low, target, offset);
  writeFourGroups(low, target, offset);
  if (high === 0) return writeVarint(middle, target, offset + 4);
  writeFourGroups(middle, target, offset + 4);
  return writeVarint(high, target, offset + 8);
}

/** Writes 28 bits of a varint that goes on. */
function writeFourGroups(bits: number, target: Uint8Array, offset: number): void {
  target[offset] = bits | 128;
  target[offset + 1] = (bits >>> 7) | 128;
  target[offset + 2] = (bits >>> 14) | 128;
  target[offset + 3] = (bits >>> 21) | 128;
}

/** The user in whose name a request is made, as a RequestHeader has it: `''` and 0 for nobody. */
export type RequestUser = AuthInfo;

/**
 * The payload of a log entry: an InternalRaftRequest with the operation `kind`, whose encoded
 * request is copied from `body[start, end)`, and a header with the id and, if there is one, the user.
 * Fields in ascending order, as real members write them. The result shares its buffer with others and
 * must not be changed.
 */
export function encodeEnvelope(
  kind: RequestKind,
  idHigh: number,
  idLow: number,
  body: Uint8Array,
  start = 0,
  end: number = body.length,
  user: RequestUser | undefined = undefined,
): Uint8Array {
  invariant(idHigh >= 0 && idHigh < 0x1_0000, 'the upper part of a request id has 16 bits');
  invariant(idLow >= 0 && idLow < LOW_LIMIT, 'the lower part of a request id has 48 bits');
  const length = end - start;
  const tag = kind * 8 + WIRE_BYTES;
  const idSize = requestIdSize(idHigh, idLow);
  const userFields = user === undefined ? EMPTY_BYTES : userFieldsOf(user);
  const headerSize = 1 + idSize + userFields.length;
  const size =
    2 + varintSize(headerSize) + headerSize + varintSize(tag) + varintSize(length) + length;
  const offset = reserve(size);
  const target = slab;
  let at = offset;
  if (kind < FIELD_HEADER) at = writeOperation(tag, body, start, end, target, at);
  at = writeVarint(FIELD_HEADER * 8 + WIRE_BYTES, target, at);
  at = writeVarint(headerSize, target, at);
  target[at++] = HEADER_FIELD_ID * 8 + WIRE_VARINT;
  at = writeRequestId(idHigh, idLow, target, at);
  if (userFields.length > 0) target.set(userFields, at);
  at += userFields.length;
  if (kind > FIELD_HEADER) at = writeOperation(tag, body, start, end, target, at);
  invariant(at === offset + size, 'an envelope has the size that was reserved');
  return target.subarray(offset, at);
}

/** The encoded fields that follow the id in a header. */
function userFieldsOf({ username, authRevision }: RequestUser): Uint8Array {
  const header = { id: 0n, username, authRevision: BigInt(authRevision) };
  return etcdserverpb.RequestHeaderCodec.encode(header);
}

/**
 * Payloads share slabs: a buffer for each would cost an allocation outside the JavaScript heap, and
 * garbage collection to free it. A slab lives as long as the log in memory holds one of its entries.
 */
const SLAB_BYTES = 64 * 1024;
/** A larger payload gets a separate buffer. */
const SHARED_BYTES_MAX = SLAB_BYTES / 8;
let slab: Uint8Array = new Uint8Array(0);
let slabUsed = 0;

/** Sets `slab` to one with room and returns where in it. */
function reserve(size: number): number {
  if (size > SHARED_BYTES_MAX || slabUsed + size > slab.length) {
    // Not zeroed: every byte is written.
    const { buffer } = Buffer.allocUnsafeSlow(Math.max(size, SLAB_BYTES));
    slab = new Uint8Array(buffer);
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

/** Result of {@link readEnvelope}. One reusable object per applier. */
export class RequestEnvelope implements RequestUser {
  kind: RequestKind = REQUEST_KIND.NONE;
  /** Holds the operation's encoded request: the payload, or a copy if it comes in parts. */
  body: Uint8Array = EMPTY_BYTES;
  bodyStart = 0;
  bodyEnd = 0;
  /** Upper 16 and lower 48 bits of the request id; both 0 if there is none. */
  idHigh = 0;
  idLow = 0;
  username = '';
  authRevision = 0;
}

/** Cursor over the payload; module state instead of a returned pair, since reading is not re-entered. */
let position = 0;
let varintHigh = 0;
let varintLow = 0;

/** Reads a varint into `varintLow` (lower 28 bits) and `varintHigh` (the 36 above); false if it is cut. */
function readVarint(bytes: Uint8Array, end: number): boolean {
  if (position < end && bytes[position]! < 128) {
    varintLow = bytes[position++]!;
    varintHigh = 0;
    return true;
  }
  let low = 0;
  let high = 0;
  let scale = 1;
  for (let group = 0; group < 10 && position < end; group++) {
    const byte = bytes[position++]!;
    if (group < 4) {
      low += (byte & 127) * scale;
      scale = group === 3 ? 1 : scale * 128;
    } else {
      // The tenth byte has room for one bit; others are dropped, as releases up to 3.6 do.
      high += (byte & (group === 9 ? 1 : 127)) * scale;
      scale *= 128;
    }
    if (byte < 128) {
      varintLow = low;
      varintHigh = high;
      return true;
    }
  }
  return false;
}

/** Reads the length of a field that lies before `end`; -1 if it does not. */
function readLength(bytes: Uint8Array, end: number): number {
  if (!readVarint(bytes, end)) return -1;
  const length = varintHigh * 0x1000_0000 + varintLow;
  return length > end - position ? -1 : length;
}

/**
 * Reads the envelope of an InternalRaftRequest. Throws MALFORMED for a broken message and UNSUPPORTED
 * for one whose operation this release does not know: an entry that cannot be applied must never be
 * skipped, since the other members apply it.
 */
export function readEnvelope(payload: Uint8Array, into: RequestEnvelope): void {
  if (!readUsual(payload, into)) readUnusual(payload, into);
}

/** Reads the form that members write; false for any other, and then `into` is undefined. */
function readUsual(payload: Uint8Array, into: RequestEnvelope): boolean {
  into.kind = REQUEST_KIND.NONE;
  into.body = payload;
  into.idHigh = 0;
  into.idLow = 0;
  into.username = '';
  into.authRevision = 0;
  const end = payload.length;
  position = 0;
  while (position < end) {
    if (!readVarint(payload, end)) return false;
    const wire = varintLow & 7;
    const field = Math.floor((varintHigh * 0x1000_0000 + varintLow) / 8);
    if (field === FIELD_ID && wire === WIRE_VARINT) {
      if (!readVarint(payload, end)) return false;
      acceptId(into);
      continue;
    }
    if (wire !== WIRE_BYTES) return false;
    const length = readLength(payload, end);
    if (length < 0) return false;
    const fieldEnd = position + length;
    if (field === FIELD_HEADER) {
      if (!readHeader(payload, fieldEnd, into)) return false;
    } else {
      if (into.kind !== REQUEST_KIND.NONE || !KNOWN_KINDS.has(field)) return false;
      into.kind = field as RequestKind;
      into.bodyStart = position;
      into.bodyEnd = fieldEnd;
    }
    position = fieldEnd;
  }
  return into.kind !== REQUEST_KIND.NONE;
}

function acceptId(into: RequestEnvelope): void {
  into.idLow = (varintHigh % 0x10_0000) * 0x1000_0000 + varintLow;
  into.idHigh = Math.floor(varintHigh / 0x10_0000);
}

/** Finds the id in a RequestHeader, and the user. */
function readHeader(payload: Uint8Array, end: number, into: RequestEnvelope): boolean {
  while (position < end) {
    if (!readVarint(payload, end)) return false;
    const wire = varintLow & 7;
    const field = Math.floor((varintHigh * 0x1000_0000 + varintLow) / 8);
    if (wire === WIRE_VARINT) {
      if (!readVarint(payload, end)) return false;
      if (field === HEADER_FIELD_ID) acceptId(into);
      else if (field === HEADER_FIELD_AUTH_REVISION) {
        into.authRevision = varintHigh * 0x1000_0000 + varintLow;
      }
    } else if (wire === WIRE_BYTES) {
      const length = readLength(payload, end);
      if (length < 0) return false;
      if (field === HEADER_FIELD_USERNAME) {
        into.username = utf8FromBytes(payload, position, position + length);
        const isDoubtful = mayBeReplaced(into.username);
        if (isDoubtful && !isUtf8(payload, position, position + length)) return false;
      }
      position += length;
    } else {
      return false;
    }
  }
  return true;
}

type Part = Pick<FieldSpan, 'start' | 'end'>;

/** Any form, field by field. */
function readUnusual(payload: Uint8Array, into: RequestEnvelope): void {
  const spans = fieldSpans(etcdserverpb.InternalRaftRequestCodec.descriptor, payload);
  const partsOf = (field: number): FieldSpan[] =>
    spans.filter(({ number, wireType }) => number === field && wireType === WIRE_BYTES);
  into.kind = REQUEST_KIND.NONE;
  for (const kind of KINDS_IN_ORDER) {
    if (partsOf(kind).length === 0) continue;
    into.kind = kind;
    break;
  }
  if (into.kind === REQUEST_KIND.NONE) refuse(spans);
  const parts = partsOf(into.kind);
  into.body = payload;
  into.bodyStart = parts[0]!.start;
  into.bodyEnd = parts[0]!.end;
  if (parts.length > 1) {
    // Concatenated encodings are the encoding of the merged message.
    into.body = joined(payload, parts);
    into.bodyStart = 0;
    into.bodyEnd = into.body.length;
  }
  const { RequestHeaderCodec } = etcdserverpb;
  const headerBytes = joined(payload, partsOf(FIELD_HEADER));
  const header = RequestHeaderCodec.decode(headerBytes);
  // A user name that is not UTF-8 stops 3.7; with U+FFFD in it, it could be another user's.
  if (mayBeReplaced(header.username)) RequestHeaderCodec.decodeRequest(headerBytes);
  // Field 1 of the request itself, an id outside the header, has the same number and type.
  const outer = spans.filter(
    ({ number, wireType }) => number === FIELD_ID && wireType === WIRE_VARINT,
  );
  const tagged = outer.map(({ start, end }) => ({ start: start - 1, end }));
  const id = RequestHeaderCodec.decode(joined(payload, tagged)).id || header.id;
  into.idHigh = Number(id >> BigInt(REQUEST_ID_LOW_BITS));
  into.idLow = Number(BigInt.asUintN(REQUEST_ID_LOW_BITS, id));
  into.username = header.username;
  into.authRevision = Number(header.authRevision);
}

function joined(bytes: Uint8Array, parts: readonly Part[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { start, end }) => sum + end - start, 0));
  let at = 0;
  for (const { start, end } of parts) {
    whole.set(bytes.subarray(start, end), at);
    at += end - start;
  }
  return whole;
}

function refuse(spans: readonly FieldSpan[]): never {
  const unknown = spans.find(({ number }) => number !== FIELD_ID && number !== FIELD_HEADER);
  throw new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    unknown === undefined
      ? 'a log entry holds an InternalRaftRequest with no operation'
      : `a log entry holds an InternalRaftRequest with the unknown field ${unknown.number}`,
  );
}
