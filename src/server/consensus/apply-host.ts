// The host of the state machine: the member's side while entries are applied.

import type { LogIndex } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  formatId,
  formatStoredVersion,
  formatVersion,
  MEMBERSHIP_REFUSALS,
  type MembershipRefusal,
} from '../../membership/index.ts';
import type { EtcdErrorName, raftpb } from '../../protocol/index.ts';
import type { AnyConfChange, RawNode } from '../../raft/index.ts';
import type { ApplyResult, StateMachineHost } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import type { SlowRequests } from '../telemetry/slow-requests.ts';
import type { Proposals } from './proposals.ts';
import type { RaftState } from './raft-state.ts';
import type { ReadIndexQueue } from './read-index-queue.ts';
import type { StoreView } from './store-view.ts';

interface ApplyHostParts {
  readonly config: Pick<ServerConfig, 'electionMs'>;
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly log: Logger;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly node: Pick<RawNode, 'applyConfChange'>;
  readonly raft: Pick<RaftState, 'leads'>;
  readonly store: StoreView<'leases'>;
  readonly proposals: Pick<Proposals, 'isAwaited' | 'take' | 'takenSinceMs' | 'takeWhole'>;
  readonly slow: Pick<SlowRequests, 'acceptResult'>;
  readonly reads: Pick<ReadIndexQueue, 'acceptFirstCommit'>;
  readonly quota: Pick<StateMachineHost, 'hasRoomFor'>;
  /** Notified after a possible change of the membership. */
  readonly membership: { follow(): void };
  /** Checks the cluster version once this member leads. */
  readonly versionMonitor: { check(): Promise<void> };
  /** Brings the database to a new cluster version. */
  readonly storageVersion: { check(): void };
  readonly snapshotter: { take(): Promise<void> };
}

/** Etcd's errors for a membership change that was refused when it was applied. */
const REFUSAL_ERRORS: Readonly<Record<MembershipRefusal, EtcdErrorName>> = {
  ID_REMOVED: 'MEMBER_NOT_FOUND',
  ID_EXISTS: 'MEMBER_EXIST',
  ID_NOT_FOUND: 'MEMBER_NOT_FOUND',
  PEER_URL_EXISTS: 'PEER_URL_EXIST',
  MEMBER_NOT_LEARNER: 'MEMBER_NOT_LEARNER',
  TOO_MANY_LEARNERS: 'TOO_MANY_LEARNERS',
};

export class ApplyHost implements StateMachineHost {
  readonly #parts: ApplyHostParts;

  /** The parts are read when an entry is applied; they may be set later. */
  constructor(parts: ApplyHostParts) {
    this.#parts = parts;
  }

  isAwaited(idHigh: number, idLow: number): boolean {
    return this.#parts.proposals.isAwaited(idHigh, idLow);
  }

  onResult(idHigh: number, idLow: number, result: ApplyResult): void {
    const { proposals, slow } = this.#parts;
    const proposal = proposals.take(idHigh, idLow);
    slow.acceptResult(
      proposal === undefined ? Number.POSITIVE_INFINITY : proposals.takenSinceMs,
      result,
    );
    proposal?.complete(result);
  }

  applyConfChange(change: AnyConfChange, index: LogIndex): raftpb.ConfState {
    return this.#parts.node.applyConfChange(change, index);
  }

  onConfChange(id: bigint, refusal: MembershipRefusal | undefined): void {
    const { log, membership, proposals } = this.#parts;
    if (refusal !== undefined) {
      log.warn('refused a membership change', { id, reason: MEMBERSHIP_REFUSALS[refusal] });
    }
    membership.follow();
    const result: ApplyResult =
      refusal === undefined
        ? { kind: 'applied' }
        : { kind: 'error', error: REFUSAL_ERRORS[refusal] };
    proposals.takeWhole(id)?.complete(result);
  }

  onClusterVersion(before: ClusterVersion | undefined, version: ClusterVersion): void {
    const { clusterId, memberId, env, log, snapshotter, storageVersion } = this.#parts;
    const fields = { 'cluster-id': formatId(clusterId), 'local-member-id': formatId(memberId) };
    if (before === undefined) {
      const initial = { ...fields, 'cluster-version': formatVersion(version) };
      log.info('set initial cluster version', initial);
    } else {
      const change = { from: formatVersion(before), to: formatVersion(version) };
      log.info('updated cluster version', { ...fields, ...change });
    }
    if (before !== undefined && compareVersions(version, before) < 0) {
      log.info('Cluster version downgrade detected, forcing snapshot', {
        'prev-cluster-version': formatStoredVersion(before),
        'new-cluster-version': formatStoredVersion(version),
      });
      void snapshotter.take();
    }
    // In a later turn: the entry is still being applied.
    env.timers.after(0, () => storageVersion.check());
  }

  /** The first entry of a leader's term: all earlier entries are applied, leases may expire. */
  onEmptyEntry(): void {
    const { config, env, raft, reads, store, versionMonitor } = this.#parts;
    reads.acceptFirstCommit();
    if (!raft.leads) return;
    store.machine.leases.lessor.promote(env.clock.monotonicMs(), config.electionMs);
    // In a later turn: the entry is still being applied.
    env.timers.after(0, () => void versionMonitor.check());
  }

  hasRoomFor(costBytes: number): boolean {
    return this.#parts.quota.hasRoomFor(costBytes);
  }
}
