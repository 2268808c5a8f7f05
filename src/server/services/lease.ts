// etcdserverpb.Lease.

import { bytesFromLatin1 } from '../../base/index.ts';
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
import type { MemberCore } from '../core.ts';
import { APPLY_TIMEOUT_MS } from '../limits.ts';
import { headerOf } from './reply.ts';
import { WrittenResponse } from './written-response.ts';

const {
  LeaseService,
  LeaseGrantRequestCodec,
  LeaseKeepAliveRequestCodec,
  LeaseKeepAliveResponseCodec,
} = etcdserverpb;
const methods = LeaseService.methods;

export function registerLeaseService(table: ServiceTable, core: MemberCore): void {
  table.unary(methods.leaseGrant, (call, request, bytes) => grant(core, call, request, bytes), {
    holdsMemory: true,
  });
  table.unary(methods.leaseRevoke, (call, _request, bytes) =>
    core.proposals.propose(
      REQUEST_KIND.LEASE_REVOKE,
      call.caller,
      bytes,
      0,
      bytes.length,
      new WrittenResponse(call, () =>
        call.reply(methods.leaseRevoke.response, { header: headerOf(core) }),
      ),
    ),
  );
  table.unary(methods.leaseTimeToLive, (call, request) => {
    void timeToLive(core, call, request);
  });
  table.unary(methods.leaseLeases, (call) =>
    call.reply(methods.leaseLeases.response, {
      header: headerOf(core),
      leases: core.machine.leases.lessor.list().map(({ id }) => ({ id })),
    }),
  );
  table.stream(methods.leaseKeepAlive, (call) => new KeepAliveStream(core, call), {
    holdsMemory: true,
  });
}

/**
 * The id is chosen here if the client leaves it to us. It is appended to the client's own bytes: of a
 * field that comes twice the last one counts.
 */
function grant(
  core: MemberCore,
  call: UnaryCall,
  request: etcdserverpb.LeaseGrantRequest,
  bytes: Uint8Array,
): void {
  if (!core.quota.isAvailable(LEASE_COST_BYTES)) {
    core.raiseNoSpace(() => failWith(call, 'NO_SPACE'));
    return;
  }
  let body = bytes;
  if (request.id === 0n) {
    const id = LeaseGrantRequestCodec.encode(
      LeaseGrantRequestCodec.create({ id: chooseLeaseId(core) }),
    );
    body = new Uint8Array(bytes.length + id.length);
    body.set(bytes);
    body.set(id, bytes.length);
  }
  core.proposals.propose(
    REQUEST_KIND.LEASE_GRANT,
    call.caller,
    body,
    0,
    body.length,
    new WrittenResponse(call, (result) => {
      if (result.kind !== 'leaseGrant') throw new TypeError('a grant answers a grant');
      call.reply(methods.leaseGrant.response, {
        header: headerOf(core),
        id: result.id,
        ttl: result.ttlSec,
        error: '',
      });
    }),
  );
}

function chooseLeaseId(core: MemberCore): bigint {
  for (;;) {
    const id = BigInt.asUintN(63, core.requestIds.nextWhole());
    if (id !== 0n) return id;
  }
}

async function timeToLive(
  core: MemberCore,
  call: UnaryCall,
  request: etcdserverpb.LeaseTimeToLiveRequest,
): Promise<void> {
  const { id, keys } = request;
  if (core.raft.leader !== core.memberId) {
    const outcome = await core.leaseRenewals.timeToLive(id, keys);
    if (outcome.kind === 'failed') failWith(call, outcome.error);
    else if (outcome.kind === 'missing') replyMissing(core, call, id);
    else {
      call.reply(methods.leaseTimeToLive.response, {
        ...outcome.response,
        header: headerOf(core),
      });
    }
    return;
  }
  if (!(await core.whenCaughtUp(APPLY_TIMEOUT_MS))) {
    failWith(call, 'TIMEOUT_WAIT_APPLIED_INDEX');
    return;
  }
  const { lessor } = core.machine.leases;
  const lease = lessor.lookup(id);
  if (lease === undefined) {
    replyMissing(core, call, id);
    return;
  }
  if (!lessor.isPrimary) {
    // It leads no more, or not yet: how long the lease lives is not known here.
    failWith(call, 'LEADER_CHANGED');
    return;
  }
  call.reply(methods.leaseTimeToLive.response, {
    header: headerOf(core),
    id: lease.id,
    ttl: lessor.remainingSec(lease, core.env.clock.monotonicMs()),
    grantedTTL: lease.ttlSec,
    keys: keys ? lease.keys.sorted().map(bytesFromLatin1) : [],
  });
}

function replyMissing(core: MemberCore, call: UnaryCall, id: bigint): void {
  const header = headerOf(core);
  call.reply(methods.leaseTimeToLive.response, { header, id, ttl: -1, grantedTTL: 0, keys: [] });
}

/** Renewals in the order in which they come: one that takes longer holds back those behind it. */
class KeepAliveStream implements StreamHandler {
  readonly #core: MemberCore;
  readonly #call: StreamCall;
  #undecided = false;
  #clientEnded = false;
  #ended = false;

  constructor(core: MemberCore, call: StreamCall) {
    this.#core = core;
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
    const renewal = this.#core.leaseRenewals.renewNow(id);
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
    const header = headerOf(this.#core);
    if (!this.#call.write(LeaseKeepAliveResponseCodec, { header, id, ttl })) this.#call.pause();
  }

  async #renewLater(id: bigint): Promise<void> {
    this.#undecided = true;
    this.#call.pause();
    const outcome = await this.#core.leaseRenewals.renew(id);
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

  #fail(name: EtcdErrorName): void {
    this.#ended = true;
    endWith(this.#call, name);
  }

  #end(): void {
    this.#ended = true;
    this.#call.end();
  }
}
