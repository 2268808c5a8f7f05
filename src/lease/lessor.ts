// Which leases exist, which keys are attached to them, when they expire. Pure: "now" is an argument, on the
// monotonic clock; the owner of the backend persists what is granted and revoked.
//
// Grants, revokes and checkpoints come from the log and are the same on every member. Expiry is not:
// only the primary (the leader) lets leases expire, and then only proposes to revoke them. A lease
// may live longer than its TTL, never shorter: a new primary grants every lease its full TTL again.
//
// Behaviour: etcd v3.7.1 `server/lease/lessor.go`.

import { fail, invariant } from '../base/index.ts';
import { CheckpointQueue } from './checkpoint-queue.ts';
import { ExpiryHeap } from './expiry-heap.ts';
import { Lease } from './lease.ts';
import {
  CHECKPOINT_BATCH_MAX,
  EXPIRED_BATCH_MAX,
  EXPIRED_RETRY_MS,
  LEASE_REVOKES_PER_SEC_MAX,
  LEASE_TTL_SEC_MAX,
} from './limits.ts';

/** Why a lease operation is refused; the names are those of etcd's errors. */
export type LeaseRefusal = 'LEASE_NOT_FOUND' | 'LEASE_EXIST' | 'LEASE_TTL_TOO_LARGE';

/** A lease as it is persisted. */
export interface LeaseRow {
  readonly id: bigint;
  readonly ttlSec: number;
  readonly remainingSec: number;
}

type Renewal =
  | { readonly kind: 'renewed'; readonly ttlSec: number }
  | { readonly kind: 'missing' }
  /** Expired and about to be revoked: retry when it is gone. */
  | { readonly kind: 'expiring' }
  /**
   * A rest of its TTL is checkpointed, which a new leader would count from: propose a checkpoint of 0
   * and ask again when it is applied. Only where checkpoints are on.
   */
  | { readonly kind: 'checkpointed' }
  | { readonly kind: 'notPrimary' };

/** How much is left of a lease's TTL, to be proposed. */
interface LeaseRest {
  readonly id: bigint;
  readonly remainingSec: number;
}

export class Lessor {
  readonly #minTtlSec: number;
  readonly #checkpoints: CheckpointQueue | undefined;
  readonly #leases = new Map<bigint, Lease>();
  /** Slot to lease; slot 0 belongs to no lease. Freed slots are used again. */
  readonly #slots: (Lease | undefined)[] = [undefined];
  readonly #freeSlots: number[] = [];
  readonly #expiry = new ExpiryHeap();
  #primary = false;

  /**
   * @param minTtlSec shorter TTLs are raised to it, at grant and when restored.
   * @param withCheckpoints whether this member, as primary, has long leases checkpointed; etcd's
   *   feature gate LeaseCheckpoint, off by default.
   */
  constructor(minTtlSec: number, withCheckpoints = false) {
    this.#minTtlSec = minTtlSec;
    this.#checkpoints = withCheckpoints ? new CheckpointQueue() : undefined;
  }

  get size(): number {
    return this.#leases.size;
  }

  get isPrimary(): boolean {
    return this.#primary;
  }

  lookup(id: bigint): Lease | undefined {
    return this.#leases.get(id);
  }

  /** All leases, those that expire first at the front; a fresh array. */
  list(): Lease[] {
    return [...this.#leases.values()].sort((a, b) => {
      if (a.expiryMs !== b.expiryMs) return a.expiryMs - b.expiryMs;
      return a.id < b.id ? -1 : 1;
    });
  }

  // --- From the log ------------------------------------------------------------------------------

  grant(id: bigint, ttlSec: number, nowMs: number): Lease | LeaseRefusal {
    if (id === 0n) return 'LEASE_NOT_FOUND';
    if (ttlSec > LEASE_TTL_SEC_MAX) return 'LEASE_TTL_TOO_LARGE';
    if (this.#leases.has(id)) return 'LEASE_EXIST';
    const lease = this.#add({ id, ttlSec, remainingSec: 0 });
    if (this.#primary) {
      this.#refresh(lease, nowMs, 0);
      this.#checkpoints?.maybeAdd(lease, nowMs);
    }
    return lease;
  }

  /** Takes over a persisted lease at boot. */
  restore(row: LeaseRow): void {
    invariant(!this.#leases.has(row.id), 'a lease is restored once');
    this.#add(row);
  }

  /**
   * The lease is gone; its keys must have been deleted, which detached them. Called after that, in
   * the same entry.
   */
  remove(lease: Lease): void {
    invariant(this.#leases.get(lease.id) === lease, 'a lease that is revoked exists');
    invariant(lease.keys.size === 0, 'the keys of a revoked lease are deleted before it');
    this.#leases.delete(lease.id);
    this.#expiry.remove(lease);
    this.#checkpoints?.remove(lease);
    this.#slots[lease.slot] = undefined;
    this.#freeSlots.push(lease.slot);
  }

  /**
   * Notes how much of the TTL was left; it counts when a primary is promoted. With `nowMs` the next
   * checkpoint is due an interval later.
   */
  checkpoint(id: bigint, remainingSec: number, nowMs?: number): Lease | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    lease.remainingSec = remainingSec;
    if (this.#primary && nowMs !== undefined) this.#checkpoints?.maybeAdd(lease, nowMs);
    return lease;
  }

  // --- Keys --------------------------------------------------------------------------------------

  /** The slot that stands for the lease, 0 if there is none. */
  slotOf(id: bigint): number {
    return this.#leases.get(id)?.slot ?? 0;
  }

  /** The lease of a slot that {@link slotOf} gave and that has keys. */
  leaseOfSlot(slot: number): Lease {
    return this.#slots[slot] ?? fail('a slot in use has its lease');
  }

  attach(slot: number, key: string): void {
    this.leaseOfSlot(slot).keys.add(key);
  }

  detach(slot: number, key: string): void {
    this.leaseOfSlot(slot).keys.delete(key);
  }

  // --- As primary --------------------------------------------------------------------------------

  /** This member leads: every lease expires its full TTL, and `extendMs`, from now. */
  promote(nowMs: number, extendMs: number): void {
    this.#primary = true;
    for (const lease of this.#leases.values()) {
      this.#refresh(lease, nowMs, extendMs);
      this.#checkpoints?.maybeAdd(lease, nowMs);
    }
    if (this.#leases.size >= LEASE_REVOKES_PER_SEC_MAX) this.#spread();
  }

  /** This member lost its leadership: no lease expires here. */
  demote(): void {
    this.#primary = false;
    for (const lease of this.#leases.values()) lease.expiryMs = Number.POSITIVE_INFINITY;
    this.#expiry.clear();
    this.#checkpoints?.clear();
  }

  renew(id: bigint, nowMs: number): Renewal {
    if (!this.#primary) return { kind: 'notPrimary' };
    const lease = this.#leases.get(id);
    if (lease === undefined) return { kind: 'missing' };
    if (lease.expiryMs <= nowMs) return { kind: 'expiring' };
    if (this.#checkpoints !== undefined && lease.remainingSec > 0) return { kind: 'checkpointed' };
    this.#refresh(lease, nowMs, 0);
    return { kind: 'renewed', ttlSec: lease.ttlSec };
  }

  /** Seconds left, rounded down, negative once expired; the whole TTL while not primary. */
  remainingSec(lease: Lease, nowMs: number): number {
    if (lease.expiryMs === Number.POSITIVE_INFINITY) return lease.ttlSec;
    return Math.trunc((lease.expiryMs - nowMs) / 1000);
  }

  /**
   * Leases to be revoked, at most {@link EXPIRED_BATCH_MAX}; empty while not primary. One that is
   * still there {@link EXPIRED_RETRY_MS} later is handed out again.
   */
  takeExpired(nowMs: number): Lease[] {
    const expired: Lease[] = [];
    while (expired.length < EXPIRED_BATCH_MAX) {
      const lease = this.#expiry.peek();
      if (lease === undefined || lease.dueMs > nowMs) break;
      this.#expiry.place(lease, nowMs + EXPIRED_RETRY_MS);
      if (lease.expiryMs <= nowMs) expired.push(lease);
    }
    return expired;
  }

  /**
   * Checkpoints to be proposed, at most {@link CHECKPOINT_BATCH_MAX}; empty while not primary and
   * where checkpoints are off. A lease that was renewed just now needs none for another interval; one
   * that is handed out has its next one an interval after the call of {@link checkpoint}.
   */
  takeCheckpoints(nowMs: number): LeaseRest[] {
    const rests: LeaseRest[] = [];
    if (!this.#primary || this.#checkpoints === undefined) return rests;
    while (rests.length < CHECKPOINT_BATCH_MAX) {
      const lease = this.#checkpoints.take(nowMs);
      if (lease === undefined) break;
      if (lease.expiryMs <= nowMs) continue;
      const remainingSec = Math.ceil((lease.expiryMs - nowMs) / 1000);
      if (remainingSec < lease.ttlSec) rests.push({ id: lease.id, remainingSec });
      else this.#checkpoints.maybeAdd(lease, nowMs);
    }
    return rests;
  }

  /** Every violation of the lessor's rules. */
  check(): string[] {
    const violations = this.#expiry.check();
    for (const lease of this.#leases.values()) {
      if (this.#slots[lease.slot] !== lease) violations.push(`lease ${lease.id} lost its slot`);
      if (this.#primary !== lease.expiryMs < Number.POSITIVE_INFINITY) {
        violations.push(`lease ${lease.id} expires although no member is primary, or the reverse`);
      }
    }
    return violations;
  }

  #add(row: LeaseRow): Lease {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const ttlSec = Math.max(row.ttlSec, this.#minTtlSec);
    const lease = new Lease(row.id, ttlSec, row.remainingSec, slot);
    this.#slots[slot] = lease;
    this.#leases.set(row.id, lease);
    return lease;
  }

  #refresh(lease: Lease, nowMs: number, extendMs: number): void {
    this.#expireAt(lease, nowMs + extendMs + lease.effectiveSec * 1000);
  }

  #expireAt(lease: Lease, expiryMs: number): void {
    lease.expiryMs = expiryMs;
    this.#expiry.place(lease, expiryMs);
  }

  /**
   * After a promotion many leases may expire at once. They are put off so that within no second more
   * expire than three quarters of what can be revoked in it: the rest of the rate is left for others.
   * (etcd counts in windows that may overlap, and then lets nearly twice as many through.)
   */
  #spread(): void {
    const perSecond = (3 * LEASE_REVOKES_PER_SEC_MAX) / 4;
    const leases = this.list();
    for (let i = perSecond; i < leases.length; i++) {
      const lease = leases[i]!;
      const earliestMs = leases[i - perSecond]!.expiryMs + 1000;
      if (lease.expiryMs < earliestMs) this.#expireAt(lease, earliestMs);
    }
  }
}
