// The state machine of a member: applies committed entries, and is replaced by a leader's snapshot. Read
// `machine` each time: an earlier one may be retired.

import { failpoints, invariant, type LogIndex } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import {
  type Cluster,
  type ClusterVersion,
  targetVersion,
  writtenForms,
} from '../../membership/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import {
  type AuthHost,
  type Backend,
  BUCKET,
  encodeConfState,
  type KvHash,
  META_KEY,
  type MembershipImage,
  readStorageVersion,
  StateMachine,
  type StateMachineHost,
} from '../../store/index.ts';
import type { Wal } from '../../wal/index.ts';
import type { Booted } from '../boot/boot.ts';
import type { Store } from '../boot/store-opening.ts';
import type { ServerConfig } from '../config/index.ts';
import { adoptSnapshot } from '../snapshot/snapshot-install.ts';
import type { SnapshotTransfer } from '../snapshot/snapshot-transfer.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import type { SlowRequests } from '../telemetry/slow-requests.ts';
import { ApplyLoop } from './apply-loop.ts';
import type { RaftReports } from './raft-reports.ts';

interface StateMachineOwnerParts {
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly booted: Booted;
  readonly host: StateMachineHost;
  readonly authEvents: AuthHost;
  readonly transfer: Pick<SnapshotTransfer, 'takeStore'>;
  readonly slow: Pick<SlowRequests, 'endEntry'>;
  readonly reports: Pick<RaftReports, 'acceptApplied' | 'acceptInstalled'>;
  readonly life: { fail(error: unknown): void };
}

/** State that is written with each batch of a backend. */
interface Captured {
  readonly backend: Backend;
  readonly cluster: Cluster;
  readonly confState: raftpb.ConfState;
}

export class StateMachineOwner {
  readonly #parts: StateMachineOwnerParts;
  readonly #wal: Wal;
  readonly #applyLoop: ApplyLoop;
  #machine: StateMachine;
  /** Snapshots are installed one after the other; never rejects. */
  #installing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: StateMachineOwnerParts) {
    const { booted, env, reports, life, slow } = parts;
    this.#parts = parts;
    this.#wal = booted.wal;
    const { store, cluster, confState } = booted;
    this.#machine = this.#createMachine(store, cluster, confState);
    store.backend.captureMembership(() => this.#capture(this.#machine));
    const owner = this;
    this.#applyLoop = new ApplyLoop({
      get applier() {
        return owner.#machine;
      },
      clock: env.clock,
      timers: env.timers,
      onEntryEnd: (entry, beganMs, endMs) => slow.endEntry(entry, beganMs, endMs),
      onApplied: (message) => reports.acceptApplied(message),
      onFailure: (error) => life.fail(error),
    });
  }

  get machine(): StateMachine {
    return this.#machine;
  }

  /** See {@link ApplyLoop.beganMs}. */
  get applyBeganMs(): number {
    return this.#applyLoop.beganMs;
  }

  /** Storage version of the database; undefined before 3.6 or while undecided. */
  get storageVersion(): ClusterVersion | undefined {
    return readStorageVersion(this.#machine.backend);
  }

  /** Committed entries from raft. */
  deliver(message: raftpb.Message): void {
    this.#applyLoop.deliver(message);
  }

  resumeCompaction(): void {
    this.#resumeCompaction(this.#parts.booted.store);
  }

  /**
   * The log has the record of a leader's snapshot, whose database is stored and open. No entry is applied
   * until it is installed.
   */
  install(snapshot: raftpb.Snapshot): void {
    // In this turn: the log may complete entries after the snapshot, which must wait.
    const held = this.#applyLoop.hold();
    this.#installing = this.#installing
      .then(() => held)
      .then(() => this.#install(snapshot))
      .catch((error: unknown) => {
        if (!this.#stopped) this.#parts.life.fail(error);
      });
  }

  async #install(snapshot: raftpb.Snapshot): Promise<void> {
    const { config, log, metrics, booted, reports, authEvents, transfer } = this.#parts;
    if (this.#stopped) return;
    const index: LogIndex = snapshot.metadata?.index ?? 0;
    metrics.server.snapshotInstalls.value++;
    log.info('applying snapshot', {
      'current-applied-index': this.#machine.appliedIndex,
      'incoming-leader-snapshot-index': index,
    });
    // The received file is about to get the name of this one.
    await this.#machine.backend.refuseExchanges();
    if (failpoints.active !== undefined) await failpoints.active.hold('applyBeforeOpenSnapshot');
    const { store, cluster, confState } = await adoptSnapshot(
      {
        config,
        directory: booted.directory,
        clusterId: booted.clusterId,
        prepare: (received) => {
          const { backend } = received.store;
          const captured = { backend, cluster: received.cluster, confState: received.confState };
          backend.captureMembership(() => this.#capture(captured));
        },
      },
      snapshot,
      transfer.takeStore(index),
    );
    if (this.#stopped) {
      await store.backend.close();
      return;
    }
    log.info('applySnapshot: opened snapshot backend');
    if (failpoints.active !== undefined) await failpoints.active.hold('applyAfterOpenSnapshot');
    const before = this.#machine;
    invariant(store.backend !== before.backend, 'a snapshot has a database of its own');
    if (store.restore.auth.revision !== before.auth.state.revision) authEvents.onReplaced();
    const machine = this.#createMachine(store, cluster, confState, before);
    store.backend.captureMembership(() => this.#capture(machine));
    this.#machine = machine;
    void before.retire(machine);
    this.#resumeCompaction(store);
    await this.#wal.releaseTo(index);
    if (failpoints.active !== undefined) await failpoints.active.hold('raftAfterWALRelease');
    metrics.server.snapshotInstalls.value--;
    log.info('applied snapshot', { 'snapshot-index': index, revision: machine.kv.currentRev });
    reports.acceptInstalled(index);
    machine.watch.schedule();
    this.#applyLoop.release();
  }

  /** Stops applying; resolves when no entry is open and nothing is being installed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#applyLoop.stop();
    await this.#installing;
  }

  #createMachine(
    { backend, kv, restore }: Store,
    cluster: Cluster,
    confState: raftpb.ConfState,
    before?: StateMachine,
  ): StateMachine {
    const { config, env, log, metrics, host, authEvents, life } = this.#parts;
    return new StateMachine({
      env,
      backend,
      kv,
      lessor: restore.lessor,
      auth: restore.auth,
      authHost: authEvents,
      persistLeaseCheckpoints: config.featureGates.enabled.LeaseCheckpointPersist,
      cluster,
      confState,
      host,
      metrics,
      ...(before === undefined ? {} : { watch: before.watch }),
      compaction: {
        batchRows: config.compactionBatchLimit,
        sleepMs: config.compactionSleepIntervalMs,
        onFinished: (rev, rows, tookMs) =>
          log.info('finished scheduled compaction', {
            'compact-revision': rev,
            'removed-rows': rows,
            'took-ms': Math.round(tookMs),
          }),
        onHash: (hash) => this.#logHash(hash),
        onFailure: (error) => life.fail(error),
      },
    });
  }

  #logHash(hash: KvHash | undefined): void {
    const { log } = this.#parts;
    if (hash === undefined) {
      log.info('previous compaction was interrupted, skip storing compaction hash value');
      return;
    }
    log.info('storing new hash', {
      hash: hash.hash,
      revision: hash.hashRevision,
      'compact-revision': hash.compactRevision,
    });
  }

  #resumeCompaction({ restore }: Store): void {
    const { scheduledRev, finishedRev } = restore.marks;
    if (scheduledRev <= finishedRev) return;
    this.#parts.log.info('resume scheduled compaction', {
      'scheduled-compact-revision': scheduledRev,
    });
    void this.#machine.compactor.resume(scheduledRev);
  }

  /** Writes the state of a batch, in the dialect of the cluster version. */
  #capture({ backend, cluster, confState }: Captured): MembershipImage {
    const version = cluster.version ?? targetVersion(this.#parts.config.maxClusterVersion);
    if (writtenForms(version).metaTermAndConfState) {
      backend.setTerm();
      backend.set(BUCKET.META, META_KEY.CONF_STATE, encodeConfState(confState));
    }
    return { confState, cluster: cluster.state() };
  }
}
