// Persisted leases: the lessor together with the lease bucket.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { type Lease, type LeaseRefusal, type LeaseRow, Lessor } from '../../lease/index.ts';
import { leasepb } from '../../protocol/index.ts';
import type { Backend } from '../backend/backend.ts';
import { type BackendSnapshot, readAt } from '../backend/committed-view.ts';
import { BUCKET, leaseIdFromKey, leaseKey } from './schema.ts';

const { LeaseCodec } = leasepb;

/** The lessor with every persisted lease; called before the keys are attached. */
export function restoreLessor(
  rows: Pick<BackendSnapshot, 'entries' | 'placeOf'>,
  minTtlSec: number,
  withCheckpoints: boolean,
): Lessor {
  const lessor = new Lessor(minTtlSec, withCheckpoints);
  for (const [key, value] of rows.entries(BUCKET.LEASE)) {
    lessor.restore(readAt(rows, BUCKET.LEASE, key, () => readLease(key, value)));
  }
  return lessor;
}

function readLease(key: string, value: Uint8Array): LeaseRow {
  const { id, ttl, remainingTTL } = LeaseCodec.decode(value);
  if (leaseIdFromKey(key) !== id) {
    throw new TetcdError(ERROR_CODES.CORRUPT, `the row of lease ${id} has another key`);
  }
  return { id, ttlSec: ttl, remainingSec: remainingTTL };
}

export class LeaseStore {
  readonly lessor: Lessor;
  readonly #backend: Backend;
  readonly #persistsCheckpoints: () => boolean;

  /** `persistsCheckpoints` says so for the entry that is being applied. */
  constructor(lessor: Lessor, backend: Backend, persistsCheckpoints: () => boolean) {
    this.lessor = lessor;
    this.#backend = backend;
    this.#persistsCheckpoints = persistsCheckpoints;
  }

  grant(id: bigint, ttlSec: number, nowMs: number): Lease | LeaseRefusal {
    const lease = this.lessor.grant(id, ttlSec, nowMs);
    if (typeof lease !== 'string') this.#persist(lease);
    return lease;
  }

  /** The lease's keys have been deleted in this entry. */
  remove(lease: Lease): void {
    this.lessor.remove(lease);
    this.#backend.set(BUCKET.LEASE, leaseKey(lease.id), undefined);
  }

  checkpoint(id: bigint, remainingSec: number, nowMs: number): void {
    const lease = this.lessor.checkpoint(id, remainingSec, nowMs);
    if (lease !== undefined && this.#persistsCheckpoints()) this.#persist(lease);
  }

  #persist(lease: Lease): void {
    const { id, ttlSec, remainingSec } = lease;
    const row = LeaseCodec.create({ id, ttl: ttlSec, remainingTTL: remainingSec });
    this.#backend.set(BUCKET.LEASE, leaseKey(id), LeaseCodec.encode(row));
  }
}
