// What etcd promises about leases: a lease that is not revoked lives at least for its time to live
// after the last acknowledged renewal, and when it ends its keys go with it.
//
// The server renews a lease at some moment between the call of the renewal and its answer, so the
// lease lives at least until the call plus its time to live. It has ended by the moment at which
// a client saw it: a request that misses it, or a read, write or event that shows a revision at
// or after the one that deleted its keys.

import type { ChangeLog } from './change-log.ts';
import {
  describeOperation,
  type History,
  includes,
  type Keys,
  type Moment,
  type Operation,
  type Request,
  type Violation,
} from './history.ts';

export interface LeaseCheckOptions {
  /**
   * How much faster than the clients' clock a member's may run, as a fraction. A lease may end earlier
   * by that. Default 0.
   */
  readonly drift?: number;
}

interface Lease {
  readonly id: string;
  /** Acknowledged grants and renewals. */
  readonly renewals: { readonly called: Moment; readonly returned: Moment; readonly ttl: number }[];
  /** From here on it may end because a client asked for it. */
  revoked: Moment | undefined;
  /** When a client saw that it has ended, and how. */
  ended: { readonly at: Moment; readonly how: string } | undefined;
  /** Revision by which its keys must be gone: of an acknowledged revocation. */
  goneBy: number;
}

export function checkLeases(
  history: History,
  log: ChangeLog | undefined,
  options: LeaseCheckOptions = {},
): Violation[] {
  const leases = collectLeases(history);
  if (log !== undefined) noteDeletions(history, log, leases);
  const violations: Violation[] = [];
  for (const lease of leases.values()) {
    checkLifetime(lease, options.drift ?? 0, violations);
    if (log !== undefined) checkKeys(lease, log, violations);
  }
  return violations;
}

function collectLeases({ operations }: History): Map<string, Lease> {
  const leases = new Map<string, Lease>();
  const leaseOf = (id: string): Lease => {
    let lease = leases.get(id);
    if (lease === undefined) {
      lease = { id, renewals: [], revoked: undefined, ended: undefined, goneBy: 0 };
      leases.set(id, lease);
    }
    return lease;
  };
  for (const operation of operations) {
    const { request } = operation;
    switch (request.kind) {
      case 'grant':
      case 'keepAlive':
      case 'timeToLive':
        noteRenewal(leaseOf(request.lease), operation);
        break;
      case 'revoke':
        noteRevocation(leaseOf(request.lease), operation);
        break;
      case 'put':
        if (request.lease !== undefined) noteMissing(leaseOf(request.lease), operation);
    }
  }
  return leases;
}

function noteRenewal(lease: Lease, operation: Operation): void {
  const { request, outcome, called, returned } = operation;
  noteMissing(lease, operation);
  if (outcome.kind !== 'ok' || outcome.result.kind !== 'lease') return;
  const { ttl } = outcome.result;
  if (request.kind !== 'timeToLive') lease.renewals.push({ called, returned, ttl });
  else if (ttl < 0) noteEnd(lease, returned, describeOperation(operation));
}

function noteRevocation(lease: Lease, operation: Operation): void {
  const { outcome, called } = operation;
  noteMissing(lease, operation);
  // The client repeats it: the lease may be gone by an attempt whose answer was lost.
  if (outcome.kind === 'failed' && outcome.error !== 'LEASE_NOT_FOUND') return;
  if (lease.revoked === undefined || called.order < lease.revoked.order) lease.revoked = called;
  if (outcome.kind === 'ok') lease.goneBy = Math.max(lease.goneBy, outcome.revision);
}

function noteMissing(lease: Lease, operation: Operation): void {
  const { outcome, returned } = operation;
  if (outcome.kind !== 'failed' || outcome.error !== 'LEASE_NOT_FOUND') return;
  noteEnd(lease, returned, describeOperation(operation));
}

function noteEnd(lease: Lease, at: Moment, how: string): void {
  if (lease.ended !== undefined && lease.ended.at.order <= at.order) return;
  lease.ended = { at, how };
}

/**
 * Keys of one lease that are deleted at a revision by no request of a client: that is how the end of
 * a lease looks in the change log.
 */
function noteDeletions(history: History, log: ChangeLog, leases: Map<string, Lease>): void {
  const seen = firstSights(history);
  const deletes = history.operations.filter(({ request }) => deletedBy(request).length > 0);
  const byClients = new Set(
    deletes.flatMap(({ outcome }) => (outcome.kind === 'ok' ? [outcome.revision] : [])),
  );
  const mayBe = deletes
    .filter(({ outcome }) => outcome.kind === 'unknown')
    .flatMap(({ request }) => deletedBy(request));
  for (let revision = log.first; revision <= log.last; revision++) {
    if (byClients.has(revision)) continue;
    const ended = new Set<string>();
    for (const { key, value } of log.at(revision)) {
      if (value !== undefined || mayBe.some((keys) => includes(keys, key))) continue;
      ended.add(log.keyAt(key, revision - 1)?.lease ?? '0');
    }
    for (const id of ended) {
      const lease = leases.get(id);
      const at = firstAtOrAfter(seen, revision);
      if (lease === undefined || at === undefined) continue;
      noteEnd(lease, at, `its keys were deleted at revision ${revision}`);
    }
  }
}

function deletedBy(request: Request): Keys[] {
  if (request.kind === 'delete') return [request];
  if (request.kind !== 'txn') return [];
  return [...request.success, ...request.failure].filter((each) => each.kind === 'delete');
}

interface Sight {
  readonly revision: number;
  readonly at: Moment;
}

/** By rising revision and rising time: when a client first saw at least this revision. */
function firstSights({ operations, watches }: History): Sight[] {
  const sights: Sight[] = [];
  for (const { outcome, returned } of operations) {
    if (outcome.kind === 'ok') sights.push({ revision: outcome.revision, at: returned });
  }
  for (const { responses } of watches) {
    for (const { revision, at } of responses) sights.push({ revision, at });
  }
  sights.sort((a, b) => a.at.order - b.at.order);
  const first: Sight[] = [];
  for (const sight of sights) {
    if (sight.revision > (first.at(-1)?.revision ?? 0)) first.push(sight);
  }
  return first;
}

function firstAtOrAfter(sights: readonly Sight[], revision: number): Moment | undefined {
  return sights.find((each) => each.revision >= revision)?.at;
}

function checkLifetime(lease: Lease, drift: number, violations: Violation[]): void {
  const { ended, revoked, renewals, id } = lease;
  if (ended === undefined) return;
  // A revocation that was under way, or done, explains the end.
  if (revoked !== undefined && revoked.order < ended.at.order) return;
  for (const { called, returned, ttl } of renewals) {
    if (called.order > ended.at.order) continue;
    const livesUntilMs = called.atMs + ttl * 1000 * (1 - drift);
    if (ended.at.atMs >= livesUntilMs) continue;
    const text =
      `lease ${id} was renewed for ${ttl} s between ${called.atMs} and ${returned.atMs} ms ` +
      `and had ended at ${ended.at.atMs} ms: ${ended.how}`;
    violations.push({ rule: 'lease ended early', text });
    return;
  }
}

function checkKeys(lease: Lease, log: ChangeLog, violations: Violation[]): void {
  const { goneBy, id } = lease;
  if (goneBy === 0 || goneBy > log.last) return;
  const kept = log.changes().filter((each) => each.lease === id && each.revision > goneBy);
  for (const { key, revision } of kept) {
    const text = `lease ${id} was revoked by revision ${goneBy}, and ${key} put on it at ${revision}`;
    violations.push({ rule: 'lease keys', text });
  }
  if (!log.knowsState(goneBy)) return;
  for (const { key, lease: on } of log.stateAt(goneBy)) {
    if (on !== id) continue;
    const text = `lease ${id} was revoked by revision ${goneBy}, and ${key} is still on it`;
    violations.push({ rule: 'lease keys', text });
  }
}
