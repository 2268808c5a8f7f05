// One member's parts, as its services, HTTP handlers and background duties see them.

import type { Env } from '../env/index.ts';
import type { ClusterVersion } from '../membership/index.ts';
import type { EtcdErrorName } from '../protocol/index.ts';
import type { Status } from '../raft/index.ts';
import type { StateMachine } from '../store/index.ts';
import type { MembershipChanges } from './cluster/membership-changes.ts';
import type { Peers } from './cluster/peers.ts';
import type { ServerConfig } from './config/index.ts';
import type { Leadership } from './consensus/leadership.ts';
import type { Proposals } from './consensus/proposals.ts';
import type { RaftState } from './consensus/raft-state.ts';
import type { ReadIndexQueue } from './consensus/read-index-queue.ts';
import type { RequestIds } from './consensus/request-ids.ts';
import type { LeaseRenewals } from './duties/lease-renewals.ts';
import type { Quota } from './duties/quota.ts';
import type { ResponseHeaderWriter } from './services/response-header.ts';
import type { Logger } from './telemetry/log.ts';
import type { ServerMetrics } from './telemetry/metrics-table.ts';

/** What raft says of itself; see `consensus/raft-state.ts`. */
type RaftView = Readonly<Pick<RaftState, 'leader' | 'term' | 'committedIndex' | 'appliedIndex'>>;

export interface MemberCore {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly header: ResponseHeaderWriter;
  readonly machine: StateMachine;
  readonly proposals: Proposals;
  readonly reads: ReadIndexQueue;
  readonly requestIds: RequestIds;
  readonly quota: Quota;
  readonly raft: RaftView;
  readonly peers: Peers;
  readonly leadership: Leadership;
  readonly changes: MembershipChanges;
  readonly leaseRenewals: LeaseRenewals;
  /** A copy of raft's state; with what a leader knows of the others. */
  raftStatus(): Status;
  /** Asks raft to hand leadership over. */
  transferLeader(to: bigint): void;
  /** The only voter of its cluster. */
  readonly isAlone: boolean;
  /** It receives the log, has no vote, and serves next to nothing. */
  readonly isLearner: boolean;
  readonly isStopping: boolean;
  /**
   * Leads, and was not paused so long that it may have been replaced, or has asked the others since:
   * what only a leader may say without asking them now.
   */
  readonly leadsSurely: boolean;
  /** Asks the others where {@link leadsSurely} is false; resolves to what it is then. */
  confirmLeadership(): Promise<boolean>;
  /** Everything that is known to be committed is applied. */
  readonly isCaughtUp: boolean;
  /** Resolves to whether everything committed by now was applied within the time. */
  whenCaughtUp(timeoutMs: number): Promise<boolean>;
  /** Resolves when everything acknowledged by now is applied here, or to the error. */
  whenLinearizable(): Promise<EtcdErrorName | undefined>;
  /** Raises the NOSPACE alarm, unless it is raised; `then` is called when that is settled. */
  raiseNoSpace(then: () => void): void;
  /** The version in the backend's meta bucket; undefined before 3.6 or while undecided. */
  readonly storageVersion: ClusterVersion | undefined;
}
