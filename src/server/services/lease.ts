// etcdserverpb.Lease.

import { bytesFromLatin1, failpoints } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import type { StreamHandler } from '../../grpc/index.ts';
import { type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import {
  endMalformed,
  endWith,
  failWith,
  type ServiceTable,
  type StreamCall,
  type UnaryCall,
} from '../../rpc/index.ts';
import { LEASE_COST_BYTES, REQUEST_KIND } from '../../store/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { LeaseChecks } from '../auth/lease-checks.ts';
import type { LeaseRenewals } from '../cluster/lease-renewals.ts';
import type { AppliedWaits } from '../consensus/applied-waits.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { RequestIds } from '../consensus/request-ids.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { NoSpaceAlarm } from '../duties/no-space-alarm.ts';
import type { Quota } from '../duties/quota.ts';
import { APPLY_TIMEOUT_MS } from '../limits.ts';
import type { RequestSpan, RequestSpans } from './request-spans.ts';
import type { ResponseHeaders } from './response-header.ts';
import { UnaryProposal } from './unary-proposal.ts';

const {
  LeaseService,
  LeaseGrantRequestCodec,
  LeaseKeepAliveRequestCodec,
  LeaseKeepAliveResponseCodec,
} = etcdserverpb;
const methods = LeaseService.methods;

export interface LeaseServiceParts {
  readonly env: Pick<Env, 'clock'>;
  readonly header: Pick<ResponseHeaders, 'message'>;
  readonly raft: Pick<RaftState, 'leads'>;
  readonly appliedWaits: Pick<AppliedWaits, 'whenCaughtUp'>;
  readonly requestIds: Pick<RequestIds, 'nextWhole'>;
  readonly proposals: Pick<Proposals, 'propose'>;
  readonly quota: Pick<Quota, 'isAvailable'>;
  readonly noSpaceAlarm: Pick<NoSpaceAlarm, 'raise'>;
  readonly callers: Pick<Callers, 'areAsked'>;
  readonly leaseChecks: Pick<LeaseChecks, 'refusal' | 'keysRefusal'>;
  readonly store: StoreView<'auth' | 'kv' | 'leases'>;
  readonly leaseRenewals: Pick<LeaseRenewals, 'renewNow' | 'renew' | 'timeToLive'>;
  readonly tracing?: RequestSpans | undefined;
}

export function registerLeaseService(table: ServiceTable, parts: LeaseServiceParts): void {
  table.unary(methods.leaseGrant, (call, request, bytes) => grant(parts, call, request, bytes), {
    access: 'user',
    holdsMemory: true,
  });
  const revoke = (call: UnaryCall, _request: unknown, bytes: Uint8Array): void =>
    parts.proposals.propose(
      REQUEST_KIND.LEASE_REVOKE,
      call.caller,
      bytes,
      0,
      bytes.length,
      new UnaryProposal(call, () =>
        call.reply(methods.leaseRevoke.response, { header: headerNow(parts) }),
      ),
    );
  table.unary(methods.leaseRevoke, revoke, { access: 'user' });
  table.unary(methods.leaseTimeToLive, (call, request) => void timeToLive(parts, call, request), {
    access: 'user',
  });
  table.unary(methods.leaseLeases, (call) => void listLeases(parts, call), { access: 'handler' });
  table.stream(methods.leaseKeepAlive, (call) => new KeepAliveStream(parts, call), {
    access: 'handler',
    holdsMemory: true,
  });
}

/** All of them, for who may read all keys that are attached to any. */
async function listLeases(parts: LeaseServiceParts, call: UnaryCall): Promise<void> {
  const { leaseChecks, callers, store } = parts;
  const ids = store.machine.leases.lessor.list().map(({ id }) => id);
  const refusal = callers.areAsked ? await leaseChecks.refusal(call, 'read', ids) : undefined;
  if (refusal !== undefined) failWith(call, refusal);
  else {
    call.reply(methods.leaseLeases.response, {
      header: headerNow(parts),
      leases: ids.map((id) => ({ id })),
    });
  }
}

function headerNow({ header, store }: LeaseServiceParts): etcdserverpb.ResponseHeader {
  return header.message(store.machine.kv.currentRev);
}

/**
 * Chooses the id if the client does not. It is appended to the client's own bytes: of a repeated field the
 * last one counts.
 */
function grant(
  parts: LeaseServiceParts,
  call: UnaryCall,
  request: etcdserverpb.LeaseGrantRequest,
  bytes: Uint8Array,
): void {
  if (!parts.quota.isAvailable(LEASE_COST_BYTES)) {
    parts.noSpaceAlarm.raise(() => failWith(call, 'NO_SPACE'));
    return;
  }
  let body = bytes;
  if (request.id === 0n) {
    const id = LeaseGrantRequestCodec.encode(
      LeaseGrantRequestCodec.create({ id: chooseLeaseId(parts) }),
    );
    body = new Uint8Array(bytes.length + id.length);
    body.set(bytes);
    body.set(id, bytes.length);
  }
  parts.proposals.propose(
    REQUEST_KIND.LEASE_GRANT,
    call.caller,
    body,
    0,
    body.length,
    new UnaryProposal(call, (result) => {
      if (result.kind !== 'leaseGrant') throw new TypeError('a grant answers a grant');
      call.reply(methods.leaseGrant.response, {
        header: headerNow(parts),
        id: result.id,
        ttl: result.ttlSec,
        error: '',
      });
    }),
  );
}

function chooseLeaseId({ requestIds }: LeaseServiceParts): bigint {
  for (;;) {
    const id = BigInt.asUintN(63, requestIds.nextWhole());
    if (id !== 0n) return id;
  }
}

/** Keys go only to a caller who may read them, asked before and after they are looked up. */
async function timeToLive(
  parts: LeaseServiceParts,
  call: UnaryCall,
  request: etcdserverpb.LeaseTimeToLiveRequest,
): Promise<void> {
  const { callers, leaseChecks, store } = parts;
  const isAsked = request.keys && callers.areAsked;
  const { revision } = store.machine.auth.state;
  const refusal = isAsked ? await leaseChecks.refusal(call, 'read', [request.id]) : undefined;
  if (refusal !== undefined) {
    failWith(call, refusal);
    return;
  }
  const response = await timeToLiveResponse(parts, call, request);
  if (response === undefined) return;
  const refused = isAsked ? await leaseChecks.keysRefusal(call, response.keys) : undefined;
  const { enabled, revision: now } = store.machine.auth.state;
  if (refused !== undefined) failWith(call, refused);
  else if (isAsked && enabled && now !== revision) failWith(call, 'AUTH_OLD_REVISION');
  else call.reply(methods.leaseTimeToLive.response, response);
}

/** Undefined: the call has got another answer. */
async function timeToLiveResponse(
  parts: LeaseServiceParts,
  call: UnaryCall,
  { id, keys }: etcdserverpb.LeaseTimeToLiveRequest,
): Promise<etcdserverpb.LeaseTimeToLiveResponse | undefined> {
  if (!parts.raft.leads) {
    const outcome = await parts.leaseRenewals.timeToLive(id, keys);
    if (outcome.kind === 'failed') failWith(call, outcome.error);
    else if (outcome.kind === 'missing') replyMissing(parts, call, id);
    else return { ...outcome.response, header: headerNow(parts) };
    return undefined;
  }
  if (!(await parts.appliedWaits.whenCaughtUp(APPLY_TIMEOUT_MS))) {
    failWith(call, 'TIMEOUT_WAIT_APPLIED_INDEX');
    return undefined;
  }
  if (failpoints.active !== undefined)
    await failpoints.active.hold('beforeLookupWhenLeaseTimeToLive');
  const { lessor } = parts.store.machine.leases;
  const lease = lessor.lookup(id);
  if (lease === undefined) {
    replyMissing(parts, call, id);
    return undefined;
  }
  if (!lessor.isPrimary) {
    // This member does not lead (any more), so that it does not know the TTL.
    failWith(call, 'LEADER_CHANGED');
    return undefined;
  }
  return {
    header: headerNow(parts),
    id: lease.id,
    ttl: lessor.remainingSec(lease, parts.env.clock.monotonicMs()),
    grantedTTL: lease.ttlSec,
    keys: keys ? lease.keys.sorted().map(bytesFromLatin1) : [],
  };
}

function replyMissing(parts: LeaseServiceParts, call: UnaryCall, id: bigint): void {
  const header = headerNow(parts);
  call.reply(methods.leaseTimeToLive.response, { header, id, ttl: -1, grantedTTL: 0, keys: [] });
}

/** Renewals in order: one that takes longer delays later ones. */
class KeepAliveStream implements StreamHandler {
  readonly #parts: LeaseServiceParts;
  readonly #call: StreamCall;
  #undecided = false;
  /** Of the renewal under way, if it is traced. */
  #span: RequestSpan | undefined = undefined;
  #clientEnded = false;
  #ended = false;

  constructor(parts: LeaseServiceParts, call: StreamCall) {
    this.#parts = parts;
    this.#call = call;
  }

  onMessage(message: Uint8Array): void {
    if (this.#ended) return;
    let id: bigint;
    try {
      ({ id } = LeaseKeepAliveRequestCodec.decodeRequest(message));
    } catch (error) {
      this.#ended = true;
      endMalformed(this.#call, error);
      return;
    }
    const { callers, leaseRenewals, tracing } = this.#parts;
    this.#span = tracing?.begin(this.#call, 'lease_renew', { id });
    // While permissions are asked for, that takes another turn.
    const renewal = callers.areAsked ? undefined : leaseRenewals.renewNow(id);
    if (renewal?.kind === 'renewed') this.#answer(id, renewal.ttlSec);
    else if (renewal?.kind === 'missing') this.#answer(id, 0);
    else void this.#renewLater(id);
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (!this.#undecided) this.#end();
  }

  onCancel(): void {
    this.#ended = true;
  }

  onDrain(): void {
    if (!this.#undecided) this.#call.resume();
  }

  #answer(id: bigint, ttl: number): void {
    this.#span?.end();
    const header = headerNow(this.#parts);
    if (!this.#call.write(LeaseKeepAliveResponseCodec, { header, id, ttl })) this.#call.pause();
  }

  async #renewLater(id: bigint): Promise<void> {
    this.#undecided = true;
    this.#call.pause();
    const outcome = await this.#outcomeOf(id);
    this.#undecided = false;
    if (this.#ended) return;
    if (outcome.kind === 'failed') {
      this.#fail(outcome.error);
      return;
    }
    this.#answer(id, outcome.kind === 'renewed' ? outcome.ttlSec : 0);
    if (this.#clientEnded) this.#end();
    else this.#call.resume();
  }

  /** Who keeps a lease alive has to be permitted to write all keys that live with it. */
  async #outcomeOf(id: bigint): ReturnType<LeaseRenewals['renew']> {
    const { callers, leaseChecks, leaseRenewals } = this.#parts;
    const refusal = callers.areAsked
      ? await leaseChecks.refusal(this.#call, 'write', [id])
      : undefined;
    return refusal === undefined ? leaseRenewals.renew(id) : { kind: 'failed', error: refusal };
  }

  #fail(name: EtcdErrorName): void {
    this.#ended = true;
    endWith(this.#call, name);
  }

  #end(): void {
    this.#ended = true;
    this.#call.end();
  }
}
