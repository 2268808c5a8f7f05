// Log entries in the v2 dialect. Releases up to 3.5 publish a member's attributes and the cluster
// version as v2 PUTs, and 3.4 logs a quorum GET for every health probe. Nothing else may appear in
// the log of a cluster without v2 keys; if it does, we refuse the log by name.

import { TetcdError } from '../base/index.ts';
import { parseId } from './ids.ts';
import type { Attributes, MemberId } from './member.ts';
import { parseAttributes, writeAttributes } from './member-json.ts';
import { mustParseVersion } from './rows.ts';
import { attributesPath, VERSION_PATH } from './v2-store.ts';
import { type ClusterVersion, formatStoredVersion } from './version.ts';

/** The fields of etcdserverpb.Request that decide what it means. */
export interface V2RequestInput {
  readonly method: string;
  readonly path: string;
  readonly val: string;
  readonly dir: boolean;
  readonly prevValue: string;
  readonly prevIndex: number | bigint;
  readonly prevExist: boolean | undefined;
}

export type V2Meaning =
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
    Number(request.prevIndex) === 0 &&
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
    'UNSUPPORTED',
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
