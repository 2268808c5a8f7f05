// etcdserverpb.Lease.

import { bytesFromLatin1 } from '../../base/index.ts';
import type { Server, StreamCall, StreamHandler, UnaryCall } from '../../grpc/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { ETCD_ERRORS, etcdserverpb } from '../../protocol/index.ts';
import { LEASE_COST_BYTES, REQUEST_KIND } from '../../store/index.ts';
import type { MemberCore } from '../core.ts';
import { REQUEST_TIMEOUT_BASE_MS } from '../limits.ts';
import { endMalformed, failWith, headerOf, lacksRequiredLeader, registerUnary } from './reply.ts';
import { WrittenResponse } from './written-response.ts';

const {
  LeaseService,
  LeaseGrantRequestCodec,
  LeaseKeepAliveRequestCodec,
  LeaseKeepAliveResponseCodec,
} = etcdserverpb;
const methods = LeaseService.methods;

/** How often a renewal that cannot be decided yet is tried again. */
const RENEWAL_RETRY_MS = 100;

export function registerLeaseService(server: Server, core: MemberCore): void {
  registerUnary(server, core, methods.leaseGrant, (call, request, bytes) =>
    grant(core, call, request, bytes),
  );
  registerUnary(server, core, methods.leaseRevoke, (call, _request, bytes) =>
    core.proposals.propose(
      REQUEST_KIND.LEASE_REVOKE,
      bytes,
      0,
      bytes.length,
      new WrittenResponse(call, () =>
        call.reply(methods.leaseRevoke.response, { header: headerOf(core) }),
      ),
    ),
  );
  registerUnary(server, core, methods.leaseTimeToLive, (call, request) =>
    timeToLive(core, call, request),
  );
  registerUnary(server, core, methods.leaseLeases, (call) =>
    call.reply(methods.leaseLeases.response, {
      header: headerOf(core),
      leases: core.machine.leases.lessor.list().map(({ id }) => ({ id })),
    }),
  );
  server.stream(methods.leaseKeepAlive.path, (call) => new KeepAliveStream(core, call));
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

function timeToLive(
  core: MemberCore,
  call: UnaryCall,
  request: etcdserverpb.LeaseTimeToLiveRequest,
): void {
  const { lessor } = core.machine.leases;
  const lease = lessor.lookup(request.id);
  const header = headerOf(core);
  if (lease === undefined) {
    call.reply(methods.leaseTimeToLive.response, {
      header,
      id: request.id,
      ttl: -1,
      grantedTTL: 0,
      keys: [],
    });
    return;
  }
  call.reply(methods.leaseTimeToLive.response, {
    header,
    id: lease.id,
    ttl: lessor.remainingSec(lease, core.env.clock.monotonicMs()),
    grantedTTL: lease.ttlSec,
    keys: request.keys ? lease.keys.sorted().map(bytesFromLatin1) : [],
  });
}

/**
 * Renewals in the order in which they come. One that cannot be decided yet (the lease has expired
 * and is about to be revoked, or there is no leader) holds back those behind it.
 */
class KeepAliveStream implements StreamHandler {
  readonly #core: MemberCore;
  readonly #call: StreamCall;
  #undecided: { readonly id: bigint; readonly deadlineMs: number } | undefined;
  #clientEnded = false;
  #ended = false;

  constructor(core: MemberCore, call: StreamCall) {
    this.#core = core;
    this.#call = call;
    if (lacksRequiredLeader(core, call)) this.#fail('NO_LEADER');
  }

  onMessage(message: Uint8Array): void {
    if (this.#ended) return;
    let id: bigint;
    try {
      ({ id } = LeaseKeepAliveRequestCodec.decode(message));
    } catch (error) {
      this.#ended = true;
      endMalformed(this.#call, error);
      return;
    }
    const { clock } = this.#core.env;
    const timeoutMs = REQUEST_TIMEOUT_BASE_MS + 2 * this.#core.config.electionMs;
    if (!this.#renew(id)) {
      this.#undecided = { id, deadlineMs: clock.monotonicMs() + timeoutMs };
      this.#call.pause();
      this.#retryLater();
    }
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#undecided === undefined) this.#end();
  }

  onCancel(): void {
    this.#ended = true;
  }

  onDrain(): void {
    if (this.#undecided === undefined) this.#call.resume();
  }

  /** Answers; false if the renewal cannot be decided now. */
  #renew(id: bigint): boolean {
    const core = this.#core;
    const renewal = core.machine.leases.lessor.renew(id, core.env.clock.monotonicMs());
    if (renewal.kind === 'expiring' || renewal.kind === 'notPrimary') return false;
    const ttl = renewal.kind === 'renewed' ? renewal.ttlSec : 0;
    if (renewal.kind === 'renewed') core.metrics.lease.renewed.value++;
    const hasRoom = this.#call.write(LeaseKeepAliveResponseCodec, {
      header: headerOf(core),
      id,
      ttl,
    });
    if (!hasRoom) this.#call.pause();
    return true;
  }

  #retryLater(): void {
    this.#core.env.timers.after(RENEWAL_RETRY_MS, () => {
      const undecided = this.#undecided;
      if (this.#ended || undecided === undefined) return;
      if (this.#renew(undecided.id)) {
        this.#undecided = undefined;
        if (this.#clientEnded) this.#end();
        else this.#call.resume();
      } else if (this.#core.env.clock.monotonicMs() >= undecided.deadlineMs) {
        this.#fail(this.#core.raft.leader === 0n ? 'NO_LEADER' : 'TIMEOUT');
      } else {
        this.#retryLater();
      }
    });
  }

  #fail(name: 'NO_LEADER' | 'TIMEOUT'): void {
    this.#ended = true;
    this.#call.end(STATUS.UNAVAILABLE, ETCD_ERRORS[name].message);
  }

  #end(): void {
    this.#ended = true;
    this.#call.end();
  }
}
