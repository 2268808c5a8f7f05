// Lease renewals and time-to-live requests. Only the leader's lessor has the expiries; other members
// forward these requests to it, without the log.

import { failpoints, latin1FromBytes } from '../../base/index.ts';
import { type PeerEnv, requestPeer } from '../../peer/index.ts';
import { type EtcdErrorName, etcdserverpb, leasepb } from '../../protocol/index.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { AppliedWaits } from '../consensus/applied-waits.ts';
import type { Leadership } from '../consensus/leadership.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StoreView } from '../consensus/store-view.ts';
import {
  APPLY_TIMEOUT_MS,
  LEASE_ANSWER_BYTES_MAX,
  LEASE_FORWARD_RETRY_MS,
  LEASE_RENEWAL_RETRY_MS,
  requestTimeoutMs,
} from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';

interface LeaseRenewalsParts {
  readonly config: Pick<ServerConfig, 'electionMs'>;
  readonly env: PeerEnv;
  readonly log: Logger;
  readonly metrics: Pick<ServerMetrics, 'lease'>;
  readonly raft: Pick<RaftState, 'leader' | 'leads' | 'isCaughtUp'>;
  readonly leadership: Pick<Leadership, 'isSure' | 'confirm'>;
  readonly appliedWaits: Pick<AppliedWaits, 'whenCaughtUp'>;
  readonly proposals: Pick<Proposals, 'proposeAsLeader'>;
  readonly store: StoreView<'cluster' | 'leases'>;
  readonly life: { readonly isStopping: boolean };
}

/** The leader's result of a renewal. */
type LeaderRenewal =
  | { readonly kind: 'renewed'; readonly ttlSec: number }
  | { readonly kind: 'missing' }
  | { readonly kind: 'notPrimary' };

type RenewalOutcome =
  | { readonly kind: 'renewed'; readonly ttlSec: number }
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly error: EtcdErrorName };

type TimeToLiveOutcome =
  | { readonly kind: 'found'; readonly response: etcdserverpb.LeaseTimeToLiveResponse }
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly error: EtcdErrorName };

type LeaderAnswer<Value> =
  | { readonly kind: 'found'; readonly value: Value }
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly error: EtcdErrorName };

export class LeaseRenewals {
  readonly #parts: LeaseRenewalsParts;

  constructor(parts: LeaseRenewalsParts) {
    this.#parts = parts;
  }

  /**
   * Renews in this turn; undefined if that takes longer (this member does not lead, or its leadership must
   * be confirmed, or the lease is about to be revoked, or is not known yet).
   */
  renewNow(id: bigint): LeaderRenewal | undefined {
    const { leadership, store, env, metrics, raft } = this.#parts;
    if (!leadership.isSure) return undefined;
    const renewal = store.machine.leases.lessor.renew(id, env.clock.monotonicMs());
    if (renewal.kind === 'renewed') metrics.lease.renewed.value++;
    else if (renewal.kind !== 'missing' || !raft.isCaughtUp) return undefined;
    return renewal;
  }

  /** Renews as leader. For an expired lease it waits for the revocation: it is never renewed again. */
  async renewHere(id: bigint): Promise<LeaderRenewal> {
    const { leadership, store, env, metrics } = this.#parts;
    const deadlineMs = this.#deadlineMs();
    if (!(await leadership.confirm())) return { kind: 'notPrimary' };
    for (;;) {
      const { lessor } = store.machine.leases;
      const renewal = lessor.renew(id, env.clock.monotonicMs());
      switch (renewal.kind) {
        case 'renewed':
          metrics.lease.renewed.value++;
          return renewal;
        case 'missing':
        case 'notPrimary':
          return renewal;
        case 'checkpointed':
          if (failpoints.active !== undefined)
            await failpoints.active.hold('beforeCheckpointInLeaseRenew');
          if (!(await this.#clearCheckpoint(id))) return { kind: 'notPrimary' };
          break;
        case 'expiring':
          if (env.clock.monotonicMs() >= deadlineMs) return { kind: 'notPrimary' };
          await this.#pause(LEASE_RENEWAL_RETRY_MS);
      }
    }
  }

  /** Renews at the leader, this member or another. */
  async renew(id: bigint): Promise<RenewalOutcome> {
    const { raft, appliedWaits } = this.#parts;
    if (raft.leads) {
      if (!(await appliedWaits.whenCaughtUp(APPLY_TIMEOUT_MS))) {
        return { kind: 'failed', error: 'TIMEOUT_WAIT_APPLIED_INDEX' };
      }
      const renewal = await this.renewHere(id);
      if (renewal.kind !== 'notPrimary') return renewal;
    }
    const body = etcdserverpb.LeaseKeepAliveRequestCodec.encode({ id });
    const answer = await this.#askLeader('/leases', body, (bytes) => {
      const { id: of, ttl } = etcdserverpb.LeaseKeepAliveResponseCodec.decode(bytes);
      return of === id ? ttl : undefined;
    });
    return answer.kind === 'found' ? { kind: 'renewed', ttlSec: answer.value } : answer;
  }

  async timeToLive(id: bigint, keys: boolean): Promise<TimeToLiveOutcome> {
    const body = leasepb.LeaseInternalRequestCodec.encode({
      leaseTimeToLiveRequest: { id, keys },
    });
    const answer = await this.#askLeader('/leases/internal', body, (bytes) => {
      const { leaseTimeToLiveResponse } = leasepb.LeaseInternalResponseCodec.decode(bytes);
      return leaseTimeToLiveResponse?.id === id ? leaseTimeToLiveResponse : undefined;
    });
    return answer.kind === 'found' ? { kind: 'found', response: answer.value } : answer;
  }

  #clearCheckpoint(id: bigint): Promise<boolean> {
    const body = etcdserverpb.LeaseCheckpointRequestCodec.encode({
      checkpoints: [{ id, remainingTTL: 0 }],
    });
    return new Promise((resolve) => {
      this.#parts.proposals.proposeAsLeader(REQUEST_KIND.LEASE_CHECKPOINT, undefined, body, {
        complete: () => resolve(true),
        fail: () => resolve(false),
      });
    });
  }

  /** `read` returns undefined for a malformed body. */
  async #askLeader<Value>(
    path: string,
    body: Uint8Array,
    read: (body: Uint8Array) => Value | undefined,
  ): Promise<LeaderAnswer<Value>> {
    const { env, raft, store, life } = this.#parts;
    const deadlineMs = this.#deadlineMs();
    let hadLeader = false;
    for (;;) {
      // Read each time: both may change during an await.
      const leader = store.machine.cluster.member(raft.leader);
      if (leader !== undefined) {
        hadLeader = true;
        for (const url of leader.peerURLs) {
          const answer = await this.#ask(url, path, body, deadlineMs, read);
          if (answer !== undefined) return answer;
        }
      }
      if (env.clock.monotonicMs() >= deadlineMs) {
        return { kind: 'failed', error: hadLeader ? 'TIMEOUT' : 'NO_LEADER' };
      }
      if (life.isStopping) return { kind: 'failed', error: 'STOPPED' };
      await this.#pause(LEASE_FORWARD_RETRY_MS);
    }
  }

  /** Undefined, with a log line, without a valid answer. */
  async #ask<Value>(
    url: string,
    path: string,
    body: Uint8Array,
    deadlineMs: number,
    read: (body: Uint8Array) => Value | undefined,
  ): Promise<LeaderAnswer<Value> | undefined> {
    const { env, log } = this.#parts;
    try {
      const answer = await requestPeer(env, {
        url,
        method: 'POST',
        path,
        headers: { 'Content-Type': 'application/protobuf' },
        body,
        timeoutMs: Math.max(1, deadlineMs - env.clock.monotonicMs()),
        bodyBytesMax: LEASE_ANSWER_BYTES_MAX,
      });
      if (answer.status === 404) return { kind: 'missing' };
      const value = answer.status === 200 ? read(answer.body) : undefined;
      if (value !== undefined) return { kind: 'found', value };
      log.debug('the leader did not answer for a lease', {
        address: url,
        status: answer.status,
        answer: latin1FromBytes(answer.body).trim(),
      });
    } catch (error) {
      log.debug('failed to reach the leader for a lease', { address: url, error: String(error) });
    }
    return undefined;
  }

  #deadlineMs(): number {
    const { env, config } = this.#parts;
    return env.clock.monotonicMs() + requestTimeoutMs(config.electionMs);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#parts.env.timers.after(delayMs, resolve));
  }
}
