// Log entries in the v2 dialect. Releases up to 3.5 publish a member's attributes and the cluster
// version as v2 PUTs, and 3.4 logs a quorum GET for every health probe. Nothing else may appear in
// the log of a cluster without v2 keys; if it does, we refuse the log by name.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { etcdserverpb } from '../protocol/index.ts';
import { parseId } from './ids.ts';
import type { Attributes, MemberId } from './member.ts';
import { parseAttributes, writeAttributes } from './member-json.ts';
import { mustParseVersion } from './rows.ts';
import { attributesPath, VERSION_PATH } from './v2-store.ts';
import { type ClusterVersion, formatStoredVersion } from './version.ts';

/** The fields of a v2 request that decide what it means. */
type V2RequestInput = Pick<
  etcdserverpb.Request,
  'method' | 'path' | 'val' | 'dir' | 'prevValue' | 'prevIndex' | 'prevExist'
>;

type V2Meaning =
  /** It reads, or clears expired v2 keys, of which there are none. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'attributes'; readonly id: MemberId; readonly attributes: Attributes }
  | { readonly kind: 'version'; readonly version: ClusterVersion };

/** A v2 request to log; the caller adds its id. */
export interface V2Put {
  readonly method: 'PUT';
  readonly path: string;
  readonly val: string;
}

const ATTRIBUTES_PATH = /^\/0\/members\/([\da-fA-F]{1,16})\/attributes$/;
const NOTHING: V2Meaning = { kind: 'nothing' };

/**
 * What a logged v2 request does. UNSUPPORTED, naming method and path, for what is neither
 * membership nor harmless; MALFORMED if its value is not what its path demands.
 */
export function meaningOfV2Request(request: V2RequestInput): V2Meaning {
  const { method, path, val } = request;
  // SYNC deletes expired v2 keys. There are none: a snapshot or an entry with one is refused.
  if (method === 'QGET' || method === 'SYNC') return NOTHING;
  const isPlainPut =
    method === 'PUT' &&
    !request.dir &&
    request.prevValue === '' &&
    request.prevIndex === 0 &&
    request.prevExist === undefined;
  if (isPlainPut) {
    const what = `v2 PUT of ${path}`;
    if (path === VERSION_PATH) return { kind: 'version', version: mustParseVersion(val, what) };
    const hex = ATTRIBUTES_PATH.exec(path)?.[1];
    if (hex !== undefined) {
      return { kind: 'attributes', id: parseId(hex, what), attributes: parseAttributes(val, what) };
    }
  }
  throw new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    `the log holds a v2 request (${method} ${path}) that this release cannot apply: ` +
      "only membership is kept of etcd's v2 API",
  );
}

export function attributesPut(id: MemberId, attributes: Attributes): V2Put {
  return { method: 'PUT', path: attributesPath(id), val: writeAttributes(attributes) };
}

export function versionPut(version: ClusterVersion): V2Put {
  return { method: 'PUT', path: VERSION_PATH, val: formatStoredVersion(version) };
}

/** The payload of the log entry for a v2 request; a fresh array. Bare, as 3.4 and 3.5 log it. */
export function encodeV2Put(put: V2Put, requestId: bigint): Uint8Array {
  const request = etcdserverpb.RequestCodec.create({ id: requestId, ...put });
  return etcdserverpb.RequestCodec.encode(request);
}

/**
 * The v2 request in the payload of a log entry, or undefined if the payload is an
 * InternalRaftRequest without one, or with another operation beside it. It stands there bare (3.4 and
 * 3.5 log their own so), or as field 2 of an InternalRaftRequest. MALFORMED if it is no request.
 *
 * Both forms begin with an id (field 1, a varint) or with field 2, and requests of the v3 API do
 * not, so that those cost a look at one byte.
 */
export function v2RequestIn(payload: Uint8Array): etcdserverpb.Request | undefined {
  const first = payload[0];
  if (first !== ID_TAG && first !== V2_TAG) return undefined;
  let at = first === ID_TAG ? skipVarint(payload, 1) : 0;
  if (payload[at] !== V2_TAG) return undefined;
  const length = readVarint32(payload, at + 1);
  at = skipVarint(payload, at + 1);
  const end = at + length;
  if (end > payload.length) {
    throw new TetcdError(ERROR_CODES.MALFORMED, 'etcdserverpb.Request: field 2 runs past the end');
  }
  // Bare, field 2 is the method and the path (field 3) follows; in the wrapper nothing does but
  // perhaps the header (field 100).
  const isBare = payload[end] === PATH_TAG;
  if (isBare) return etcdserverpb.RequestCodec.decode(payload);
  // Beside an operation of the v3 API field 2 is one that 3.7 does not know.
  const isAlone = end === payload.length || payload[end] === HEADER_TAG;
  return isAlone ? etcdserverpb.RequestCodec.decode(payload, at, end) : undefined;
}

const ID_TAG = 0x08;
const V2_TAG = 0x12;
const PATH_TAG = 0x1a;
/** The first byte of the header's tag, and of no operation's before it. */
const HEADER_TAG = 0xa2;

/** The offset after the varint at `at`. */
function skipVarint(bytes: Uint8Array, at: number): number {
  let next = at;
  while (next < bytes.length && bytes[next]! >= 128) next++;
  return next + 1;
}

/** A length; one of more than 28 bits reads as larger than any payload. */
function readVarint32(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i] ?? 0;
    value |= (byte & 127) << (7 * i);
    if (byte < 128) return value;
  }
  return Number.MAX_SAFE_INTEGER;
}
