// Checksums of the keys of other members, requested at their peer ports. Both sides of the request are
// those of etcd v3.7.1 `server/etcdserver/corrupt.go`.

import { bytesFromLatin1, utf8FromBytes } from '../../base/index.ts';
import { formatId, type Member } from '../../membership/index.ts';
import { type PeerEnv, type PeerResponse, requestPeer } from '../../peer/index.ts';
import { ETCD_ERRORS } from '../../protocol/index.ts';
import type { KvHash } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { PEER_ANSWER_BYTES_MAX, requestTimeoutMs } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';

const PEER_HASH_PATH = '/members/hashkv';

export interface PeerHashesParts {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly config: Pick<ServerConfig, 'electionMs'>;
  readonly env: PeerEnv;
  readonly log: Logger;
  readonly store: StoreView<'cluster'>;
}

/** A checksum of another member, with its newest revision. */
export interface RemoteHash extends KvHash {
  readonly currentRevision: number;
}

/** Refusals that a caller tells from failures. */
export const HASH_REFUSALS = {
  COMPACTED: ETCD_ERRORS.COMPACTED.message,
  FUTURE_REV: ETCD_ERRORS.FUTURE_REV.message,
  CLUSTER_ID_MISMATCH: ETCD_ERRORS.CLUSTER_ID_MISMATCH.message,
} as const;

/** What became of the request to one member: either of the two is there. */
export type PeerHash = { readonly member: Member } & (
  | { readonly hash: RemoteHash; readonly error?: undefined }
  /** One of HASH_REFUSALS, or the text of a failure. */
  | { readonly hash?: undefined; readonly error: string }
);

/**
 * Checksums of all other members at `revision`, all requested at once. Never rejects; members without a
 * URL are left out.
 */
export function requestHashes(parts: PeerHashesParts, revision: number): Promise<PeerHash[]> {
  const others = parts.store.machine.cluster
    .members()
    .filter(({ id, peerURLs }) => id !== parts.memberId && peerURLs.length > 0);
  return Promise.all(others.map((member) => hashOf(parts, member, revision)));
}

/** Of the first of the member's URLs that has one. */
async function hashOf(parts: PeerHashesParts, member: Member, revision: number): Promise<PeerHash> {
  let error = '';
  for (const url of member.peerURLs) {
    try {
      return { member, hash: remoteHash(await ask(parts, url, revision)) };
    } catch (failure) {
      error = failure instanceof Error ? failure.message : String(failure);
    }
    parts.log.warn('failed hash kv request', {
      'local-member-id': formatId(parts.memberId),
      'requested-revision': revision,
      'remote-peer-endpoint': url,
      error,
    });
  }
  return { member, error };
}

function ask(
  { clusterId, config, env }: PeerHashesParts,
  url: string,
  revision: number,
): Promise<PeerResponse> {
  return requestPeer(env, {
    url,
    method: 'GET',
    path: PEER_HASH_PATH,
    headers: { 'Content-Type': 'application/json', 'X-Etcd-Cluster-ID': formatId(clusterId) },
    // As Go's encoder, which leaves out zero.
    body: bytesFromLatin1(JSON.stringify(revision === 0 ? {} : { revision })),
    timeoutMs: requestTimeoutMs(config.electionMs),
    bodyBytesMax: PEER_ANSWER_BYTES_MAX,
  });
}

/** Throws the refusal, or what is wrong with the response. */
function remoteHash({ status, body }: PeerResponse): RemoteHash {
  const text = utf8FromBytes(body);
  if (status !== 200) throw new Error(refusalIn(status, text) ?? `unknown error: ${text}`);
  const fields: unknown = JSON.parse(text);
  const header = fieldOf(fields, 'header');
  return {
    currentRevision: numberIn(header, 'revision'),
    hash: numberIn(fields, 'hash'),
    compactRevision: numberIn(fields, 'compact_revision'),
    hashRevision: numberIn(fields, 'hash_revision'),
  };
}

/** Members name a refusal without the prefix of the errors that clients get. */
function refusalIn(status: number, text: string): string | undefined {
  const { COMPACTED, FUTURE_REV, CLUSTER_ID_MISMATCH } = HASH_REFUSALS;
  if (status === 412) return text.includes('cluster ID mismatch') ? CLUSTER_ID_MISMATCH : undefined;
  if (status !== 400) return undefined;
  return [COMPACTED, FUTURE_REV].find((known) => text.includes(known.replace('etcdserver: ', '')));
}

function fieldOf(fields: unknown, name: string): unknown {
  return typeof fields === 'object' && fields !== null
    ? (fields as Record<string, unknown>)[name]
    : undefined;
}

/** Zero values are left out. */
function numberIn(fields: unknown, name: string): number {
  const value = fieldOf(fields, name) ?? 0;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new Error(`${name} of a hash is not a whole number`);
}
