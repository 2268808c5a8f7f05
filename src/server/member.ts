// One member: its parts, put together, started and stopped.
//
// What happens to a request is in the services, the order of effects in `ready-loop.ts`, what is on
// disk at start in `boot.ts`. This file only connects them and runs the clock.

import type { LogIndex } from '../base/index.ts';
import type { Env, StreamAddress, Timer } from '../env/index.ts';
import type { Server } from '../grpc/index.ts';
import { type ClusterVersion, formatId, formatVersion } from '../membership/index.ts';
import type { EtcdErrorName, raftpb } from '../protocol/index.ts';
import { SNAPSHOT_STATUSES, type SoftState, type Status } from '../raft/index.ts';
import type { ServiceTable } from '../rpc/index.ts';
import type { StateMachine } from '../store/index.ts';
import { type Booted, boot } from './boot/boot.ts';
import { hastenFirstElection } from './boot/first-election.ts';
import { checkReceived, type StoreOptions } from './boot/store-opening.ts';
import { ClusterVersionMonitor } from './cluster/cluster-version.ts';
import { MembershipChanges } from './cluster/membership-changes.ts';
import { createPeerHost, isSnapshotMessage } from './cluster/peer-host.ts';
import { Peers } from './cluster/peers.ts';
import {
  publishAgain,
  publishAttributes,
  publishVersionAlone,
  TetcdStopped,
} from './cluster/publication.ts';
import type { ServerConfig } from './config/index.ts';
import { AppliedWaits } from './consensus/applied-waits.ts';
import { ApplyHost } from './consensus/apply-host.ts';
import { Leadership } from './consensus/leadership.ts';
import { PauseDetector } from './consensus/pause-detector.ts';
import { Proposals } from './consensus/proposals.ts';
import { RaftState } from './consensus/raft-state.ts';
import { ReadIndexQueue } from './consensus/read-index-queue.ts';
import { ReadyLoop } from './consensus/ready-loop.ts';
import { RequestIds } from './consensus/request-ids.ts';
import { StateMachineOwner } from './consensus/state-machine-owner.ts';
import { timeoutErrorOf } from './consensus/timeout-error.ts';
import type { MemberCore } from './core.ts';
import { Housekeeping } from './duties/housekeeping.ts';
import { LeaseExpiry } from './duties/lease-expiry.ts';
import { LeaseRenewals } from './duties/lease-renewals.ts';
import { NoSpaceAlarm } from './duties/no-space-alarm.ts';
import { Quota } from './duties/quota.ts';
import { createHttpHandler } from './http/handler.ts';
import { httpSourceOf } from './http/member-source.ts';
import {
  REMOVAL_DELAY_MS,
  STALE_TICKS_MAX,
  STOP_GRACE_MS,
  VERSION_CHECK_INTERVAL_MS,
} from './limits.ts';
import { type Late, type MemberOptions, storeOptionsOf } from './member-options.ts';
import type { Listeners } from './ports/listeners.ts';
import type { PeerPorts } from './ports/peer-ports.ts';
import { bindPorts, givingUp, type Ports } from './ports/ports.ts';
import { createGrpcServer, createServiceTable } from './services/grpc-server.ts';
import { ResponseHeaderWriter } from './services/response-header.ts';
import { SnapshotTransfer } from './snapshot/snapshot-transfer.ts';
import { Snapshotter } from './snapshot/snapshotter.ts';
import { asError, type Logger } from './telemetry/log.ts';
import { collectMemberMetrics } from './telemetry/member-metrics.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';
import type { ServerMetrics } from './telemetry/metrics-table.ts';
import { logServing } from './telemetry/start-log.ts';
import { walObserver } from './telemetry/wal-observer.ts';

export class Member implements MemberCore {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  readonly header: ResponseHeaderWriter;
  readonly proposals: Proposals;
  readonly reads: ReadIndexQueue;
  readonly requestIds: RequestIds;
  readonly quota: Quota;
  readonly raft: RaftState;
  readonly peers: Peers;
  readonly leadership: Leadership;
  readonly changes: MembershipChanges;
  readonly leaseRenewals: LeaseRenewals;
  /** The gRPC server and what it serves; a program that embeds the member may use either. */
  readonly grpc: Server;
  readonly services: ServiceTable;

  readonly #options: MemberOptions;
  readonly #booted: Booted;
  readonly #metrics: Metrics;
  readonly #applyHost: ApplyHost;
  readonly #machineOwner: StateMachineOwner;
  readonly #loop: ReadyLoop;
  readonly #snapshotter: Snapshotter;
  readonly #transfer: SnapshotTransfer;
  readonly #appliedWaits: AppliedWaits;
  readonly #versionMonitor: ClusterVersionMonitor;
  readonly #housekeeping: Housekeeping;
  #tickTimer: Timer | undefined;
  #leaseExpiry: LeaseExpiry | undefined;
  readonly #listeners: Listeners | undefined;
  #isLearner = false;
  readonly #pauses: PauseDetector;
  #removed = false;
  readonly #noSpaceAlarm = new NoSpaceAlarm(this);
  #stopping: Promise<void> | undefined;

  /** Boots, serves, and resolves when the member is ready: published and listening. */
  static async start(options: MemberOptions): Promise<Member> {
    const metrics = createMetrics({
      extensive: options.config.metrics === 'extensive',
      runtime: options.listen !== false,
    });
    const late: Late = {};
    const storeOptions = storeOptionsOf(options, metrics, late);
    const ports = options.ports ?? (await bindPorts(options));
    const booted = await boot({
      ...storeOptions,
      log: options.log,
      signal: options.signal,
      walSegmentSize: options.walSegmentSize,
      walObserver: walObserver(options.log.child('wal'), metrics.records),
    }).catch(givingUp(ports));
    const member = new Member(options, booted, metrics, storeOptions, ports);
    late.member = member;
    // It may wait for others without end.
    const abort = () => void member.stop().catch(() => undefined);
    options.signal?.addEventListener('abort', abort);
    try {
      if (late.failure !== undefined) throw late.failure.error;
      options.signal?.throwIfAborted();
      await member.#begin();
      return member;
    } catch (error) {
      await member.stop().catch(() => undefined);
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', abort);
    }
  }

  private constructor(
    options: MemberOptions,
    booted: Booted,
    metrics: Metrics,
    storeOptions: StoreOptions,
    ports: Ports,
  ) {
    const { config, env, log } = options;
    const { memberId, clusterId, node } = booted;
    this.#listeners = ports.listeners;
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
    this.raft = new RaftState(memberId, node.basicStatus(), () => this.machine.appliedIndex);
    this.#pauses = new PauseDetector(env.clock, STALE_TICKS_MAX * config.heartbeatMs);
    this.header.term = this.raft.term;
    this.#appliedWaits = new AppliedWaits(env.timers);
    this.#applyHost = new ApplyHost({
      core: this,
      node,
      raft: this.raft,
      onMembership: () => this.#followMembership(),
      onLeading: () => void this.#versionMonitor.check(),
    });
    this.#machineOwner = new StateMachineOwner({
      config,
      env,
      log,
      metrics: metrics.records,
      booted,
      host: this.#applyHost,
      storeOptions,
      onApplied: (message) => this.#acceptApplied(message),
      onInstalled: (index) => this.#acceptInstalled(index),
      onFailure: (error) => this.fail(error),
    });
    const limitBytes = config.quotaBackendBytes;
    this.quota = new Quota({ backend: () => this.machine.backend, limitBytes });
    this.#loop = this.#createLoop();
    this.reads = new ReadIndexQueue({
      clock: env.clock,
      ids: this.requestIds,
      electionMs: config.electionMs,
      schedule: () => this.#loop.schedule(),
      appliedIndex: () => this.machine.appliedIndex,
    });
    this.proposals = this.#createProposals();
    this.#transfer = this.#createTransfer();
    this.#housekeeping = new Housekeeping({ ...booted, core: this, heapUse: options.heapUse });
    this.#snapshotter = this.#createSnapshotter();
    this.peers = this.#createPeers(ports.peers);
    this.leadership = new Leadership(this);
    this.changes = new MembershipChanges(this);
    this.leaseRenewals = new LeaseRenewals(this);
    this.#versionMonitor = new ClusterVersionMonitor(this);
    this.services = createServiceTable(this);
    this.grpc = createGrpcServer(this, this.services, metrics.grpc);
  }

  #createLoop(): ReadyLoop {
    return new ReadyLoop({
      ...this.#booted,
      timers: this.env.timers,
      apply: (message) => this.#machineOwner.deliver(message),
      send: (message) => {
        if (isSnapshotMessage(message)) this.#transfer.send(message);
        else this.peers.transport.send(message);
      },
      saveSnapshot: (snapshot) => this.#snapshotter.saveReceived(snapshot),
      installSnapshot: (snapshot) => this.#machineOwner.install(snapshot),
      nextReadContext: () => this.reads.nextContext(),
      onReadStates: (states) => this.reads.acceptStates(states),
      onSoftState: (state) => this.#acceptSoftState(state),
      onHardState: (state) => this.#acceptHardState(state),
      onFailure: (error) => this.fail(error),
    });
  }

  #createTransfer(): SnapshotTransfer {
    return new SnapshotTransfer({
      env: this.env,
      log: this.log,
      directory: this.#booted.directory,
      metrics: this.metrics.disk,
      backend: () => this.machine.backend,
      send: (message, snapshot) => this.peers.transport.sendSnapshot(message, snapshot),
      report: (id, arrived) => this.#reportSnapshot(id, arrived),
      check: (path, snapshot) => checkReceived(this, path, snapshot, this),
      committedIndex: () => this.#booted.node.basicStatus().commit,
    });
  }

  #createSnapshotter(): Snapshotter {
    const { config, env, log } = this;
    return new Snapshotter({
      ...this.#booted,
      config,
      env,
      log,
      backend: () => this.machine.backend,
      committedIndex: () => this.#booted.node.basicStatus().commit,
      holdsLog: () => this.#transfer.holdsLog,
      writeCommit: () => this.#loop.writeCommit(),
      onSaved: (tookMs) => this.metrics.disk.snapSaveSeconds.observe(tookMs / 1000),
      onFailure: (error) => this.fail(error),
    });
  }

  #createProposals(): Proposals {
    const { config, env, requestIds } = this;
    return new Proposals({
      ids: requestIds,
      loop: this.#loop,
      clock: env.clock,
      backlog: () => this.raft.committedIndex - this.machine.appliedIndex,
      requestBytesMax: config.grpc.maxRequestBytes,
      electionMs: config.electionMs,
      timeoutError: (sinceMs) => timeoutErrorOf(this, sinceMs),
    });
  }

  #createPeers(ports: PeerPorts): Peers {
    const { env, log, memberId, clusterId, config } = this;
    const peers = new Peers({
      env,
      log,
      memberId,
      clusterId,
      electionMs: config.electionMs,
      ioTimeoutMs: config.peerIoTimeoutMs,
      metrics: this.metrics,
      ports,
      ownUrls: () => this.machine.cluster.member(memberId)?.peerURLs ?? config.advertisePeerUrls,
      host: createPeerHost({
        core: this,
        loop: this.#loop,
        transfer: this.#transfer,
        reportUnreachable: (id) => {
          this.#booted.node.reportUnreachable(id);
          this.#loop.schedule();
        },
        onRemoved: () => this.#acceptRemoval(),
      }),
    });
    peers.follow(this.#booted.firstMembers);
    return peers;
  }

  // --- What others see ---------------------------------------------------------------------------

  get metrics(): ServerMetrics {
    return this.#metrics.records;
  }

  get machine(): StateMachine {
    return this.#machineOwner.machine;
  }

  get storageVersion(): ClusterVersion | undefined {
    return this.#machineOwner.storageVersion;
  }

  raftStatus(): Status {
    return this.#booted.node.status();
  }

  transferLeader(to: bigint): void {
    this.#booted.node.transferLeader(to);
    this.#loop.schedule();
  }

  get isAlone(): boolean {
    const { voters, learners } = this.machine.confState;
    return voters.length === 1 && voters[0] === this.memberId && learners.length === 0;
  }

  get isLearner(): boolean {
    return this.#isLearner;
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  get leadsSurely(): boolean {
    return this.raft.leads && this.#pauses.areConfirmed;
  }

  async confirmLeadership(): Promise<boolean> {
    if (this.leadsSurely) return true;
    const ask = async () => (await this.whenLinearizable()) === undefined;
    return (await this.#pauses.confirm(ask)) && this.leadsSurely;
  }

  get isCaughtUp(): boolean {
    return this.raft.isCaughtUp;
  }

  async whenCaughtUp(timeoutMs: number): Promise<boolean> {
    return this.isCaughtUp || this.#appliedWaits.wait(this.raft.committedIndex, timeoutMs);
  }

  whenLinearizable(): Promise<EtcdErrorName | undefined> {
    return new Promise((resolve) =>
      this.reads.request({ serve: () => resolve(undefined), fail: resolve }),
    );
  }

  /** Where clients are served; the chosen ports if 0 was asked for. */
  get clientAddresses(): readonly StreamAddress[] {
    return this.#listeners?.clientAddresses ?? [];
  }

  raiseNoSpace(then: () => void): void {
    this.#noSpaceAlarm.raise(then);
  }

  // --- Start and stop ----------------------------------------------------------------------------

  async #begin(): Promise<void> {
    const { config, log, env } = this;
    this.#machineOwner.resumeCompaction();
    const source = httpSourceOf(this, this.#metrics);
    if (this.#listeners !== undefined) collectMemberMetrics(this.#metrics, this);
    this.#listeners?.serveMetrics(createHttpHandler(source, true));
    this.peers.listen(config.listenPeerUrls);
    this.#followMembership();
    this.#tick();
    this.#leaseExpiry = new LeaseExpiry(this);
    this.#housekeeping.every(VERSION_CHECK_INTERVAL_MS, () => void this.#versionMonitor.check());
    if (config.initialElectionTickAdvance) {
      this.#campaignIfAlone();
      hastenFirstElection(this, () => this.#loop.tick());
    }
    this.#loop.schedule();
    await publishAttributes(this);
    if (this.isAlone) {
      // Not both at once: the version would be logged twice.
      await this.#versionMonitor.check();
      await publishVersionAlone(this);
    }
    const { version } = this.machine.cluster;
    log.info('published local member to cluster through raft', {
      'local-member-id': formatId(this.memberId),
      'cluster-id': formatId(this.clusterId),
      'cluster-version': version === undefined ? 'not_decided' : formatVersion(version),
    });
    this.#listeners?.serveClients(this.grpc, createHttpHandler(source));
    logServing(log, config, this.memberId);
    await env.timers.nextTurn();
    log.info('ready to serve client requests');
  }

  /** Stops serving, makes everything applied durable, and releases the directory. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { env, log } = this;
    log.info('closing etcd server', { 'local-member-id': formatId(this.memberId) });
    if (!this.#removed) await this.leadership.handOver();
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
    this.#housekeeping.stop();
    this.#leaseExpiry?.stop();
  }

  async #letGo(): Promise<void> {
    this.proposals.stop();
    this.reads.stop();
    this.leadership.stop();
    this.#appliedWaits.stop();
    this.#transfer.stop();
    this.grpc.close();
    this.machine.watch.stop();
    await this.#machineOwner.stop();
    // Together: a snapshot may wait for a commit that only closing gives up, on a full disk.
    const closed = await Promise.allSettled([
      this.machine.close(),
      this.#snapshotter.stop(),
      this.peers.stop(),
    ]);
    this.#loop.writeCommit();
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
      this.#pauses.notice();
      this.#loop.tick();
      this.reads.tick();
      this.proposals.expire();
      this.#tick();
    });
  }

  /** A member alone in its cluster need not wait for anybody's election timeout. */
  #campaignIfAlone(): void {
    const { node } = this.#booted;
    const { voters } = this.machine.confState;
    if (voters.length !== 1 || voters[0] !== this.memberId || this.raft.leader !== 0n) return;
    node.campaign();
    this.#loop.schedule();
  }

  // --- What raft and the backend report ----------------------------------------------------------

  #acceptApplied(message: raftpb.Message): void {
    this.#loop.acceptApplied(message);
    // Raft refuses to campaign before it knows that its first membership change is applied.
    if (this.config.initialElectionTickAdvance) this.#campaignIfAlone();
    this.#acceptProgress();
  }

  #acceptProgress(): void {
    const { appliedIndex } = this.machine;
    this.reads.acceptApplied();
    this.#appliedWaits.acceptApplied(appliedIndex);
    this.#snapshotter.acceptApplied(appliedIndex);
  }

  #acceptInstalled(index: LogIndex): void {
    this.#transfer.acceptInstalled(index);
    this.#followMembership();
    this.#acceptProgress();
  }

  /** The membership has changed: the peers follow it, and the rights of this member. */
  #followMembership(): void {
    const { cluster } = this.machine;
    this.#isLearner = cluster.member(this.memberId)?.isLearner === true;
    this.peers.follow(cluster.members());
    this.peers.forgetRemoved(cluster);
    if (cluster.isRemoved(this.memberId)) this.#acceptRemoval();
  }

  /** The others go on without this member: a little later it stops. */
  #acceptRemoval(): void {
    if (this.#removed || this.isStopping) return;
    this.#removed = true;
    this.env.timers.after(REMOVAL_DELAY_MS, () => {
      if (this.isStopping) return;
      this.log.warn('server error', {
        error: 'the member has been permanently removed from the cluster',
      });
      this.log.warn('data-dir used by this member must be removed');
      void this.stop()
        .catch((error: unknown) => this.log.error('failed to stop', { error: asError(error) }))
        .then(() => this.#options.onRemoved?.());
    });
  }

  #reportSnapshot(id: bigint, arrived: boolean): void {
    const { node } = this.#booted;
    if (!arrived) node.reportUnreachable(id);
    node.reportSnapshot(id, arrived ? SNAPSHOT_STATUSES.FINISHED : SNAPSHOT_STATUSES.FAILED);
    this.#loop.schedule();
    if (arrived) void publishAgain(this);
  }

  #acceptHardState(state: raftpb.HardState): void {
    this.raft.acceptHardState(state);
    this.header.term = state.term;
  }

  #acceptSoftState(state: SoftState): void {
    const { lostLead, newLeader } = this.raft.acceptSoftState(state);
    if (lostLead) this.machine.leases.lessor.demote();
    if (!newLeader) return;
    this.metrics.server.leaderChangesSeen.value++;
    this.leadership.acceptLeader(state.lead);
    this.reads.acceptLeaderChange();
  }

  acceptCommit(): void {
    this.#snapshotter.acceptCommit(this.machine.backend.durable);
  }
}
