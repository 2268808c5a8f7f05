// Reports of raft, its log and the apply loop, and the order in which other parts get them.

import type { LogIndex } from '../../base/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import type { SoftState } from '../../raft/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { SnapshotTransfer } from '../snapshot/snapshot-transfer.ts';
import type { Snapshotter } from '../snapshot/snapshotter.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import type { AppliedWaits } from './applied-waits.ts';
import { type CampaignParts, campaignIfOnlyVoter } from './first-election.ts';
import type { Leadership } from './leadership.ts';
import type { RaftState } from './raft-state.ts';
import type { ReadIndexQueue } from './read-index-queue.ts';
import type { ReadyLoop } from './ready-loop.ts';
import type { StoreView } from './store-view.ts';

interface RaftReportsParts extends CampaignParts {
  readonly config: Pick<ServerConfig, 'initialElectionTickAdvance'>;
  readonly metrics: Pick<ServerMetrics, 'server'>;
  readonly raft: RaftState;
  readonly loop: Pick<ReadyLoop, 'acceptApplied' | 'campaign' | 'reportSnapshot'>;
  readonly store: StoreView<'appliedIndex' | 'confState' | 'leases'>;
  readonly leadership: Pick<Leadership, 'acceptLeader'>;
  readonly reads: Pick<ReadIndexQueue, 'acceptApplied' | 'acceptLeaderChange'>;
  readonly appliedWaits: Pick<AppliedWaits, 'acceptApplied'>;
  readonly snapshotter: Pick<Snapshotter, 'acceptApplied'>;
  readonly transfer: Pick<SnapshotTransfer, 'acceptInstalled'>;
  /** Logs the leader's publication again. */
  readonly publication: { again(): Promise<void> };
  /** Notified after a possible change of the membership. */
  readonly membership: { follow(): void };
}

export class RaftReports {
  readonly #parts: RaftReportsParts;

  /** The parts are read at a report; they may be set later. */
  constructor(parts: RaftReportsParts) {
    this.#parts = parts;
  }

  acceptHardState(state: raftpb.HardState): void {
    this.#parts.raft.acceptHardState(state);
  }

  acceptSoftState(state: SoftState): void {
    const { raft, store, metrics, leadership, reads } = this.#parts;
    const { lostLead, newLeader } = raft.acceptSoftState(state);
    if (lostLead) store.machine.leases.lessor.demote();
    if (!newLeader) return;
    metrics.server.leaderChangesSeen.value++;
    leadership.acceptLeader(state.lead);
    reads.acceptLeaderChange();
  }

  /** Outcome of a database that this leader sent to another member. */
  acceptSnapshotSent(id: bigint, arrived: boolean): void {
    const { loop, publication } = this.#parts;
    loop.reportSnapshot(id, arrived);
    if (arrived) void publication.again();
  }

  /** All entries of a message are applied, or covered by a snapshot. */
  acceptApplied(message: raftpb.Message): void {
    const { loop, config } = this.#parts;
    loop.acceptApplied(message);
    // Raft refuses to campaign before its first membership change is reported applied.
    if (config.initialElectionTickAdvance) campaignIfOnlyVoter(this.#parts);
    this.#acceptProgress();
  }

  /** The state machine was replaced by that of the snapshot at `index`. */
  acceptInstalled(index: LogIndex): void {
    const { transfer, membership } = this.#parts;
    transfer.acceptInstalled(index);
    membership.follow();
    this.#acceptProgress();
  }

  #acceptProgress(): void {
    const { store, reads, appliedWaits, snapshotter } = this.#parts;
    const { appliedIndex } = store.machine;
    reads.acceptApplied();
    appliedWaits.acceptApplied(appliedIndex);
    snapshotter.acceptApplied(appliedIndex);
  }
}
