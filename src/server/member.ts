// One member: its parts, put together, started and stopped.
//
// What happens to a request is in the services, the order of effects in `ready-loop.ts`, what is on
// disk at start in `boot.ts`. This file only connects them and runs the clock.

import { getHeapStatistics } from 'node:v8';
import { bytesFromUtf8, type LogIndex, type Term, utf8FromBytes } from '../base/index.ts';
import type { Env, StreamAddress, Timer } from '../env/index.ts';
import type { Server } from '../grpc/index.ts';
import {
  type ClusterVersion,
  formatId,
  formatStoredVersion,
  formatVersion,
  MEMBERSHIP_REFUSALS,
  type MembershipRefusal,
  parseStoredVersion,
  targetVersion,
  writtenForms,
} from '../membership/index.ts';
import type { raftpb } from '../protocol/index.ts';
import type { AnyConfChange, SoftState } from '../raft/index.ts';
import {
  type ApplyResult,
  BUCKET,
  encodeConfState,
  META_KEY,
  type MembershipImage,
  StateMachine,
  type StateMachineHost,
} from '../store/index.ts';
import { purgeSegments, purgeSnapFiles } from '../wal/index.ts';
import { ApplyLoop } from './apply-loop.ts';
import { type Booted, boot } from './boot.ts';
import type { ServerConfig } from './config/index.ts';
import type { MemberCore, RaftView } from './core.ts';
import { createGrpcServer } from './grpc-server.ts';
import { createHttpHandler } from './http/handler.ts';
import { httpSourceOf } from './http/member-source.ts';
import { LeaseExpiry } from './lease-expiry.ts';
import { HEAP_CHECK_INTERVAL_MS, PURGE_INTERVAL_MS, STOP_GRACE_MS } from './limits.ts';
import { Listeners } from './listeners.ts';
import { asError, type Logger } from './log.ts';
import { collectMemberMetrics } from './member-metrics.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import type { ServerMetrics } from './metrics-table.ts';
import { NoSpaceAlarm } from './no-space-alarm.ts';
import { Proposals } from './proposals.ts';
import { publishAttributes, publishVersion, TetcdStopped } from './publication.ts';
import { type HeapUse, Quota } from './quota.ts';
import { Reads } from './reads.ts';
import { ReadyLoop } from './ready-loop.ts';
import { RequestIds } from './request-ids.ts';
import { ResponseHeaderWriter } from './response-header.ts';
import { Snapshotter } from './snapshotter.ts';
import { walObserver } from './wal-observer.ts';

export interface MemberOptions {
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  /** The member cannot go on and has stopped; for the program to end with an error. */
  readonly onFatal: (error: unknown) => void;
  /** Use of the JavaScript heap; default: V8's own numbers. */
  readonly heapUse?: () => HeapUse;
  /** Bytes of a segment of the log; default etcd's 64,000,000. For tests. */
  readonly walSegmentSize?: number;
  /** Serve clients on the listed URLs; false for a member inside a program. Default true. */
  readonly listen?: boolean;
}

export class Member implements MemberCore, StateMachineHost {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  readonly header: ResponseHeaderWriter;
  readonly machine: StateMachine;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly requestIds: RequestIds;
  readonly quota: Quota;
  /** The gRPC server; a program that embeds the member may hand it connections. */
  readonly grpc: Server;

  readonly #options: MemberOptions;
  readonly #booted: Booted;
  readonly #metrics: Metrics;
  readonly #loop: ReadyLoop;
  readonly #applyLoop: ApplyLoop;
  readonly #snapshotter: Snapshotter;
  readonly #timers: Timer[] = [];
  #tickTimer: Timer | undefined;
  #leaseExpiry: LeaseExpiry | undefined;
  #listeners: Listeners | undefined;
  #term: Term;
  #committed: LogIndex;
  #leading = false;
  #storageVersion: ClusterVersion | undefined;
  readonly #noSpaceAlarm = new NoSpaceAlarm(this);
  #stopping: Promise<void> | undefined;

  /** Boots, serves, and resolves when the member is ready: published and listening. */
  static async start(options: MemberOptions): Promise<Member> {
    const metrics = createMetrics({
      extensive: options.config.metrics === 'extensive',
      runtime: options.listen !== false,
    });
    const late: { member?: Member; failure?: { readonly error: unknown } } = {};
    const booted = await boot({
      ...options,
      walObserver: walObserver(options.log.child('wal'), metrics.records),
      onBackendFailure: (error) => {
        if (late.member === undefined) late.failure = { error };
        else late.member.fail(error);
      },
      onBackendDiskFull: (error) =>
        options.log.error('the disk is full; the backend cannot be written', {
          error: asError(error),
        }),
      onBackendCommit: (tookMs) => {
        metrics.records.disk.backendCommitSeconds.observe(tookMs / 1000);
        late.member?.acceptCommit();
      },
    });
    const member = new Member(options, booted, metrics);
    late.member = member;
    try {
      if (late.failure !== undefined) throw late.failure.error;
      await member.#begin();
      return member;
    } catch (error) {
      await member.stop().catch(() => undefined);
      throw error;
    }
  }

  private constructor(options: MemberOptions, booted: Booted, metrics: Metrics) {
    const { config, env, log } = options;
    const { memberId, clusterId, backend, node, storage, wal } = booted;
    this.#options = options;
    this.#booted = booted;
    this.#metrics = metrics;
    this.config = config;
    this.env = env;
    this.log = log;
    this.memberId = memberId;
    this.clusterId = clusterId;
    this.header = new ResponseHeaderWriter(clusterId, memberId);
    this.requestIds = new RequestIds(memberId, env.clock.wallMs());
    this.quota = new Quota({ backend, limitBytes: config.quotaBackendBytes });
    this.#term = node.basicStatus().term;
    this.#committed = node.basicStatus().commit;
    this.header.term = this.#term;
    const onFailure = (error: unknown) => this.fail(error);
    this.machine = this.#createMachine();
    this.#storageVersion = storageVersionOf(this.machine);
    backend.captureMembership(() => this.#captureMembership());
    this.#applyLoop = new ApplyLoop({
      applier: this.machine,
      clock: env.clock,
      timers: env.timers,
      slowMs: config.warningApplyDurationMs,
      onSlow: (index, tookMs) => this.#reportSlowApply(index, tookMs),
      onApplied: (message) => this.#acceptApplied(message),
      onFailure,
    });
    this.#loop = new ReadyLoop({
      node,
      storage,
      wal,
      timers: env.timers,
      apply: (message) => this.#applyLoop.deliver(message),
      nextQuestion: () => this.reads.takeQuestion(),
      onReadStates: (states) => this.reads.acceptStates(states),
      onSoftState: (state) => this.#acceptSoftState(state),
      onHardState: (state) => this.#acceptHardState(state),
      onFailure,
    });
    this.reads = new Reads({
      clock: env.clock,
      electionMs: config.electionMs,
      schedule: () => this.#loop.schedule(),
      appliedIndex: () => this.machine.appliedIndex,
    });
    this.proposals = new Proposals({
      ids: this.requestIds,
      loop: this.#loop,
      clock: env.clock,
      backlog: () => this.#committed - this.machine.appliedIndex,
      requestBytesMax: config.grpc.maxRequestBytes,
      electionMs: config.electionMs,
    });
    this.#snapshotter = new Snapshotter({
      ...booted,
      config,
      env,
      log,
      onSaved: (tookMs) => metrics.records.disk.snapSaveSeconds.observe(tookMs / 1000),
      onFailure,
    });
    this.grpc = createGrpcServer(this, (path, seconds) => metrics.grpc.observe(path, seconds));
  }

  #reportSlowApply(index: LogIndex, tookMs: number): void {
    this.metrics.server.slowApplies.value++;
    this.log.warn('apply request took too long', {
      index,
      'took-ms': Math.round(tookMs),
      'expected-ms': this.config.warningApplyDurationMs,
    });
  }

  #createMachine(): StateMachine {
    const { config, log, env } = this;
    const { backend, kv, restore, cluster, confState } = this.#booted;
    return new StateMachine({
      env,
      backend,
      kv,
      lessor: restore.lessor,
      cluster,
      confState,
      host: this,
      metrics: this.#metrics.records,
      compaction: {
        batchRows: config.compactionBatchLimit,
        sleepMs: config.compactionSleepIntervalMs,
        onFinished: (rev, rows, tookMs) =>
          log.info('finished scheduled compaction', {
            'compact-revision': rev,
            'removed-rows': rows,
            'took-ms': Math.round(tookMs),
          }),
        onFailure: (error) => this.fail(error),
      },
    });
  }

  // --- What others see ---------------------------------------------------------------------------

  get metrics(): ServerMetrics {
    return this.#metrics.records;
  }

  get raft(): RaftView {
    return {
      leader: this.#loop.leader,
      term: this.#term,
      committedIndex: this.#committed,
      appliedIndex: this.machine.appliedIndex,
    };
  }

  get storageVersion(): ClusterVersion | undefined {
    return this.#storageVersion;
  }

  /** Where clients are served; the chosen ports if 0 was asked for. */
  get clientAddresses(): readonly StreamAddress[] {
    return this.#listeners?.clientAddresses ?? [];
  }

  raiseNoSpace(then: () => void): void {
    this.#noSpaceAlarm.raise(then);
  }

  // --- What the state machine asks ---------------------------------------------------------------

  isAwaited(idHigh: number, idLow: number): boolean {
    return this.proposals.isAwaited(idHigh, idLow);
  }

  onResult(idHigh: number, idLow: number, result: ApplyResult): void {
    this.proposals.take(idHigh, idLow)?.complete(result);
  }

  applyConfChange(change: AnyConfChange, index: LogIndex): raftpb.ConfState {
    return this.#booted.node.applyConfChange(change, index);
  }

  onConfChange(id: bigint, refusal: MembershipRefusal | undefined): void {
    if (refusal !== undefined)
      this.log.warn('refused a membership change', { id, reason: MEMBERSHIP_REFUSALS[refusal] });
  }

  /** The first entry of a leader's term: what came before is applied, leases may be let expire. */
  onEmptyEntry(): void {
    if (!this.#leading) return;
    const { lessor } = this.machine.leases;
    lessor.promote(this.env.clock.monotonicMs(), this.config.electionMs);
  }

  hasRoomFor(costBytes: number): boolean {
    return this.quota.isAvailable(costBytes);
  }

  // --- Start and stop ----------------------------------------------------------------------------

  async #begin(): Promise<void> {
    const { config, log, env } = this;
    this.#resumeCompaction();
    this.#tick();
    this.#leaseExpiry = new LeaseExpiry(this);
    this.#every(PURGE_INTERVAL_MS, () => void this.#purge());
    this.#every(HEAP_CHECK_INTERVAL_MS, () => this.#checkHeap());
    if (config.initialElectionTickAdvance) this.#campaignIfAlone();
    this.#loop.schedule();
    await publishAttributes(this);
    await publishVersion(this);
    log.info('published local member to cluster through raft', {
      'local-member-id': formatId(this.memberId),
      'cluster-id': formatId(this.clusterId),
      'cluster-version':
        this.machine.cluster.version === undefined
          ? 'not_decided'
          : formatVersion(this.machine.cluster.version),
    });
    if (this.#options.listen !== false) {
      collectMemberMetrics(this.#metrics, this, this.grpc);
      const source = httpSourceOf(this, this.#metrics);
      this.#listeners = await Listeners.open({
        config,
        log,
        disk: env.disk,
        grpc: this.grpc,
        handler: createHttpHandler(source),
        metricsHandler: createHttpHandler(source, true),
      });
    }
    await env.timers.nextTurn();
    log.info('ready to serve client requests');
  }

  /** Serves no more, makes everything applied durable, and lets go of the directory. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { env, log } = this;
    log.info('closing etcd server', { 'local-member-id': formatId(this.memberId) });
    this.#stopTimers();
    await this.#listeners?.close();
    const drained = this.grpc.drain();
    let timer: Timer | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = env.timers.after(STOP_GRACE_MS, resolve);
    });
    await Promise.race([drained, grace]);
    timer?.cancel();
    await this.#letGo();
    log.info('closed etcd server', { 'local-member-id': formatId(this.memberId) });
  }

  #stopTimers(): void {
    this.#tickTimer?.cancel();
    for (const timer of this.#timers.splice(0)) timer.cancel();
    this.#leaseExpiry?.stop();
  }

  async #letGo(): Promise<void> {
    this.proposals.stop();
    this.reads.stop();
    this.grpc.close();
    this.machine.watch.stop();
    this.machine.compactor.stop();
    await this.#applyLoop.stop();
    // Together: a snapshot may wait for a commit that only closing gives up, on a full disk.
    const closed = await Promise.allSettled([
      this.#booted.backend.close(),
      this.#snapshotter.stop(),
    ]);
    this.#loop.stop();
    closed.push(...(await Promise.allSettled([this.#booted.wal.close()])));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  /** Something failed after which the member must not go on. */
  fail(error: unknown): void {
    if (this.#stopping !== undefined || error instanceof TetcdStopped) return;
    this.log.fatal('the member cannot go on', { error: asError(error) });
    this.#stopTimers();
    this.#stopping = (async () => {
      await this.#listeners?.close();
      await this.#letGo().catch(() => undefined);
    })();
    void this.#stopping.then(() => this.#options.onFatal(error));
  }

  // --- The clock ---------------------------------------------------------------------------------

  #tick(): void {
    this.#tickTimer = this.env.timers.after(this.config.heartbeatMs, () => {
      this.#loop.tick();
      this.reads.tick();
      this.proposals.expire();
      this.#tick();
    });
  }

  #every(intervalMs: number, work: () => void): void {
    const place = this.#timers.length;
    const run = () => {
      work();
      this.#timers[place] = this.env.timers.after(intervalMs, run);
    };
    this.#timers[place] = this.env.timers.after(intervalMs, run);
  }

  /** A member alone in its cluster need not wait for anybody's election timeout. */
  #campaignIfAlone(): void {
    const { node } = this.#booted;
    const { voters } = this.machine.confState;
    if (voters.length !== 1 || voters[0] !== this.memberId || this.#loop.leader !== 0n) return;
    node.campaign();
    this.#loop.schedule();
  }

  async #purge(): Promise<void> {
    const { config, env } = this;
    const { directory, wal } = this.#booted;
    try {
      if (config.maxWals > 0) await purgeSegments(env, wal, config.maxWals);
      if (config.maxSnapshots > 0) {
        await purgeSnapFiles(env.disk, directory.snap, config.maxSnapshots);
      }
    } catch (error) {
      if (this.#stopping === undefined) {
        this.log.warn('failed to purge old files', { error: asError(error) });
      }
    }
  }

  #checkHeap(): void {
    const use = this.#options.heapUse?.() ?? v8HeapUse();
    if (!this.quota.acceptHeapUse(use)) return;
    this.raiseNoSpace(() => undefined);
  }

  #resumeCompaction(): void {
    const { scheduledRev, finishedRev } = this.#booted.restore.marks;
    if (scheduledRev <= finishedRev) return;
    this.log.info('resume scheduled compaction', { 'scheduled-compact-revision': scheduledRev });
    void this.machine.compactor.resume(scheduledRev);
  }

  // --- What raft and the backend report ----------------------------------------------------------

  #acceptApplied(message: raftpb.Message): void {
    this.#loop.acceptApplied(message);
    // Raft refuses to campaign before it knows that its first membership change is applied.
    if (this.config.initialElectionTickAdvance) this.#campaignIfAlone();
    this.reads.acceptApplied();
    this.#snapshotter.acceptApplied(this.machine.appliedIndex);
  }

  #acceptHardState(state: raftpb.HardState): void {
    this.#term = state.term;
    this.#committed = state.commit;
    this.header.term = state.term;
  }

  #acceptSoftState(state: SoftState): void {
    const leads = state.lead === this.memberId;
    if (this.#leading && !leads) this.machine.leases.lessor.demote();
    this.#leading = leads;
    if (state.lead !== 0n) this.metrics.server.leaderChangesSeen.value++;
    this.reads.acceptLeaderChange();
  }

  acceptCommit(): void {
    this.#snapshotter.acceptCommit(this.machine.backend.durable);
  }

  /** What is frozen with a batch, in the forms that the cluster's version allows. */
  #captureMembership(): MembershipImage {
    const { machine } = this;
    const { backend, cluster, confState } = machine;
    const version = cluster.version ?? targetVersion(this.config.maxClusterVersion);
    const forms = writtenForms(version);
    if (forms.metaTermAndConfState) {
      backend.setTerm();
      backend.set(BUCKET.META, META_KEY.CONF_STATE, encodeConfState(confState));
    }
    if (forms.metaStorageVersion && cluster.version !== undefined) {
      this.#storageVersion = cluster.version;
      const text = bytesFromUtf8(formatStoredVersion(cluster.version));
      backend.set(BUCKET.META, META_KEY.STORAGE_VERSION, text);
    }
    machine.leases.persistsCheckpoints = forms.metaStorageVersion;
    return { confState, cluster: cluster.state() };
  }
}

function storageVersionOf(machine: StateMachine): ClusterVersion | undefined {
  const stored = machine.backend.get(BUCKET.META, META_KEY.STORAGE_VERSION);
  return stored === undefined ? undefined : parseStoredVersion(utf8FromBytes(stored));
}

function v8HeapUse(): HeapUse {
  const { used_heap_size: usedBytes, heap_size_limit: limitBytes } = getHeapStatistics();
  return { usedBytes, limitBytes };
}
