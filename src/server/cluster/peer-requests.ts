// HTTP requests of other members, apart from raft's messages: the member list, versions, lease renewals,
// promotions, hashes. Responses are etcd's, to the byte.

import {
  bytesFromLatin1,
  bytesFromUtf8,
  ERROR_CODES,
  failpoints,
  hasCode,
} from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { formatId, formatStoredVersion, writeMembers } from '../../membership/index.ts';
import type { PeerRequest, PeerResponse } from '../../peer/index.ts';
import {
  ETCD_ERRORS,
  EtcdError,
  type EtcdErrorName,
  etcdserverpb,
  leasepb,
} from '../../protocol/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { ServerConfig } from '../config/index.ts';
import type { AppliedWaits } from '../consensus/applied-waits.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { APPLY_TIMEOUT_MS } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { LeaseRenewals } from './lease-renewals.ts';
import type { MembershipChanges } from './membership-changes.ts';
import { type OwnVersionsParts, ownVersions } from './own-versions.ts';

export interface PeerRequestParts {
  readonly clusterId: bigint;
  readonly config: Pick<ServerConfig, 'maxClusterVersion'>;
  readonly env: Pick<Env, 'clock'>;
  readonly log: Logger;
  readonly reads: Pick<ReadIndexQueue, 'whenLinearizable'>;
  readonly appliedWaits: Pick<AppliedWaits, 'whenCaughtUp'>;
  readonly store: StoreView<'cluster' | 'hashKv' | 'kv' | 'leases'> & OwnVersionsParts['store'];
  readonly callers: Pick<Callers, 'adminRefusal' | 'areAsked' | 'identifyToken'>;
  readonly changes: Pick<MembershipChanges, 'promote'>;
  readonly leaseRenewals: Pick<LeaseRenewals, 'renewHere'>;
}

type Handler = (
  parts: PeerRequestParts,
  request: PeerRequest,
) => PeerResponse | Promise<PeerResponse>;

const PROMOTE_PREFIX = '/members/promote/';

const HANDLERS: ReadonlyMap<string, readonly [method: 'GET' | 'POST', handler: Handler]> = new Map<
  string,
  readonly ['GET' | 'POST', Handler]
>([
  ['/members', ['GET', members]],
  ['/members/hashkv', ['GET', hashKv]],
  ['/leases', ['POST', renewLease]],
  ['/leases/internal', ['POST', timeToLive]],
  ['/downgrade/enabled', ['GET', downgradeEnabled]],
  ['/version', ['GET', version]],
]);

/** Answers a request of the peer port that is not the transport's own. Never rejects. */
export async function handlePeerRequest(
  parts: PeerRequestParts,
  request: PeerRequest,
): Promise<PeerResponse> {
  const found = HANDLERS.get(request.path);
  const [method, handler] =
    found ??
    (request.path.startsWith(PROMOTE_PREFIX)
      ? (['POST', promote] as const)
      : (['', undefined] as const));
  if (handler === undefined) return httpError(404, '404 page not found');
  if (request.method !== method) {
    // As in etcd, the lease handler has no Allow header.
    const allow = request.path.startsWith('/leases') ? {} : { Allow: method };
    return httpError(405, 'Method Not Allowed', allow);
  }
  try {
    return await handler(parts, request);
  } catch (error) {
    parts.log.error('a request of another member failed unexpectedly', {
      path: request.path,
      error: error instanceof Error ? error : String(error),
    });
    return httpError(500, 'Internal Server Error');
  }
}

/** As Go's `http.Error`: the text, a newline, and no sniffing. */
function httpError(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): PeerResponse {
  return {
    status,
    headers: {
      ...headers,
      'Content-Type': 'text/plain; charset=utf-8',
      'X-Content-Type-Options': 'nosniff',
    },
    body: bytesFromUtf8(`${text}\n`),
  };
}

function clusterHeader(parts: PeerRequestParts): Readonly<Record<string, string>> {
  return { 'X-Etcd-Cluster-ID': formatId(parts.clusterId) };
}

function json(parts: PeerRequestParts, text: string): PeerResponse {
  const headers = { ...clusterHeader(parts), 'Content-Type': 'application/json' };
  return { status: 200, headers, body: bytesFromUtf8(text) };
}

function members(parts: PeerRequestParts): PeerResponse {
  return json(parts, `${writeMembers(parts.store.machine.cluster.members())}\n`);
}

/** `/version`, from which the leader determines the cluster version. */
function version(parts: PeerRequestParts): PeerResponse {
  const { cluster, storage, ...running } = ownVersions(parts);
  const { maxClusterVersion: held } = parts.config;
  const server = held === undefined ? running.server : formatStoredVersion(held);
  const body = JSON.stringify({ etcdserver: server, etcdcluster: cluster, storage });
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json' },
    body: bytesFromLatin1(body),
  };
}

async function promote(parts: PeerRequestParts, request: PeerRequest): Promise<PeerResponse> {
  const text = request.path.slice(PROMOTE_PREFIX.length);
  const id = /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (id === undefined || id >= 1n << 64n) {
    return httpError(404, `member ${text} not found in cluster`, clusterHeader(parts));
  }
  const token = request.headers.get('authorization');
  const refusal = await adminRefusal(parts, token);
  const outcome =
    refusal === undefined ? await parts.changes.promote(id, token) : { error: refusal };
  switch (outcome.error) {
    case undefined:
      return json(parts, `${writeMembers(outcome.members)}\n`);
    case 'MEMBER_NOT_FOUND':
      return httpError(404, 'membership: ID not found', clusterHeader(parts));
    case 'MEMBER_NOT_LEARNER':
      return httpError(412, 'membership: can only promote a learner member', clusterHeader(parts));
    case 'LEARNER_NOT_READY':
      return httpError(412, ETCD_ERRORS.LEARNER_NOT_READY.message, clusterHeader(parts));
    default:
      return {
        ...json(parts, '{"message":"Internal Server Error"}'),
        status: 500,
      };
  }
}

/** The member that passes a request on says with which token it came. */
async function adminRefusal(
  { callers }: PeerRequestParts,
  token: string | undefined,
): Promise<EtcdErrorName | undefined> {
  if (!callers.areAsked) return undefined;
  return callers.adminRefusal(token === undefined ? undefined : callers.identifyToken(token));
}

async function downgradeEnabled(parts: PeerRequestParts): Promise<PeerResponse> {
  const error = await parts.reads.whenLinearizable();
  if (error !== undefined) {
    const text = `failed linearized read: ${ETCD_ERRORS[error].message}`;
    return httpError(500, text, clusterHeader(parts));
  }
  return {
    status: 200,
    headers: { ...clusterHeader(parts), 'Content-Type': 'text/plain' },
    body: bytesFromLatin1(String(parts.store.machine.cluster.downgrade.enabled)),
  };
}

async function hashKv(parts: PeerRequestParts, request: PeerRequest): Promise<PeerResponse> {
  const asked = request.headers.get('x-etcd-cluster-id');
  if (asked !== undefined && asked !== formatId(parts.clusterId)) {
    return httpError(412, 'cluster ID mismatch', clusterHeader(parts));
  }
  const revision = revisionIn(request.body);
  if (revision === undefined)
    return httpError(400, 'error unmarshalling request', clusterHeader(parts));
  try {
    const { hash, compactRevision, hashRevision } = await parts.store.machine.hashKv(revision);
    const fields = {
      hash,
      compact_revision: compactRevision,
      hash_revision: hashRevision,
    };
    // As in etcd's encoder, zero values are left out.
    const shown = Object.entries(fields).filter(([, value]) => value !== 0);
    const header = { revision: parts.store.machine.kv.currentRev };
    return json(parts, `${JSON.stringify({ header, ...Object.fromEntries(shown) })}\n`);
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
    return httpError(
      400,
      ETCD_ERRORS[error.code].message.replace('etcdserver: ', ''),
      clusterHeader(parts),
    );
  }
}

/** Undefined for a malformed request. */
function revisionIn(body: Uint8Array): number | undefined {
  try {
    const fields: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    if (typeof fields !== 'object' || fields === null) return undefined;
    const { revision = 0 } = fields as { revision?: unknown };
    return typeof revision === 'number' && Number.isSafeInteger(revision) ? revision : undefined;
  } catch {
    return undefined;
  }
}

// --- Leases --------------------------------------------------------------------------------------

function protobuf(body: Uint8Array): PeerResponse {
  return { status: 200, headers: { 'Content-Type': 'application/protobuf' }, body };
}

const NOT_CAUGHT_UP = httpError(
  408,
  'waiting for node to catch up its applied index has timed out',
);

async function renewLease(parts: PeerRequestParts, { body }: PeerRequest): Promise<PeerResponse> {
  const request = decoded(() => etcdserverpb.LeaseKeepAliveRequestCodec.decode(body));
  if (request === undefined) return httpError(400, 'error unmarshalling request');
  if (!(await parts.appliedWaits.whenCaughtUp(APPLY_TIMEOUT_MS))) return NOT_CAUGHT_UP;
  if (failpoints.active !== undefined) await failpoints.active.hold('beforeServeHTTPLeaseRenew');
  const renewal = await parts.leaseRenewals.renewHere(request.id);
  switch (renewal.kind) {
    case 'renewed':
      return protobuf(
        etcdserverpb.LeaseKeepAliveResponseCodec.encode({
          header: undefined,
          id: request.id,
          ttl: renewal.ttlSec,
        }),
      );
    case 'missing':
      return httpError(404, 'lease not found');
    case 'notPrimary':
      return httpError(400, 'not a primary lessor');
  }
}

async function timeToLive(parts: PeerRequestParts, { body }: PeerRequest): Promise<PeerResponse> {
  const request = decoded(() => leasepb.LeaseInternalRequestCodec.decode(body));
  const asked = request?.leaseTimeToLiveRequest;
  if (asked === undefined) return httpError(400, 'error unmarshalling request');
  if (!(await parts.appliedWaits.whenCaughtUp(APPLY_TIMEOUT_MS))) return NOT_CAUGHT_UP;
  if (failpoints.active !== undefined)
    await failpoints.active.hold('beforeLookupWhenForwardLeaseTimeToLive');
  const { lessor } = parts.store.machine.leases;
  const lease = lessor.lookup(asked.id);
  if (lease === undefined) return httpError(404, 'lease not found');
  if (!lessor.isPrimary) return httpError(500, 'not a primary lessor');
  return protobuf(
    leasepb.LeaseInternalResponseCodec.encode({
      leaseTimeToLiveResponse: {
        header: { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 },
        id: asked.id,
        ttl: lessor.remainingSec(lease, parts.env.clock.monotonicMs()),
        grantedTTL: lease.ttlSec,
        keys: asked.keys ? lease.keys.sorted().map(bytesFromLatin1) : [],
      },
    }),
  );
}

function decoded<Request>(decode: () => Request): Request | undefined {
  try {
    return decode();
  } catch (error) {
    if (hasCode(error, ERROR_CODES.MALFORMED) || hasCode(error, ERROR_CODES.NUMBER_TOO_LARGE))
      return undefined;
    throw error;
  }
}
