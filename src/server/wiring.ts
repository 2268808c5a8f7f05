// The wiring: every part of a member, and what each is given.
//
// A part takes this record as an interface of its own, which names what it touches, and looks at it when
// it works: parts that need each other are made one after the other all the same. What a part destructures
// as it is made has to stand above it here.
//
// Where something new is added, in one line: a part below; a service in `services/grpc-server.ts`; a
// refusal before all handlers in `services/guards.ts`; a background task in
// `duties/duties.ts`.

import type { Env, MemoryLock } from '../env/index.ts';
import type { Server } from '../grpc/index.ts';
import type { DataDirectory } from '../offline/index.ts';
import type { MemoryStorage, RawNode } from '../raft/index.ts';
import type { CallObserver, LocalCalls, ServiceTable } from '../rpc/index.ts';
import type { Wal } from '../wal/index.ts';
import { AuthEvents } from './auth/auth-events.ts';
import { Callers } from './auth/callers.ts';
import { LeaseChecks } from './auth/lease-checks.ts';
import { LoginThrottle } from './auth/login-throttle.ts';
import { Logins } from './auth/logins.ts';
import { PasswordThreads } from './auth/password-threads.ts';
import { Passwords } from './auth/passwords.ts';
import type { TokenProvider } from './auth/token-provider.ts';
import type { Booted } from './boot/boot.ts';
import type { StoreOptions } from './boot/store-opening.ts';
import { ClusterVersionMonitor } from './cluster/cluster-version.ts';
import { LeaseRenewals } from './cluster/lease-renewals.ts';
import { MembershipChanges } from './cluster/membership-changes.ts';
import { OwnMembership } from './cluster/own-membership.ts';
import { createPeerHost } from './cluster/peer-host.ts';
import { Peers } from './cluster/peers.ts';
import { publishAgain } from './cluster/publication.ts';
import { StorageVersionMonitor } from './cluster/storage-version.ts';
import type { ServerConfig } from './config/index.ts';
import { AppliedWaits } from './consensus/applied-waits.ts';
import { ApplyHost } from './consensus/apply-host.ts';
import { Leadership } from './consensus/leadership.ts';
import { Proposals } from './consensus/proposals.ts';
import { RaftReports } from './consensus/raft-reports.ts';
import { RaftState } from './consensus/raft-state.ts';
import { ReadIndexQueue } from './consensus/read-index-queue.ts';
import { ReadyLoop } from './consensus/ready-loop.ts';
import { RequestIds } from './consensus/request-ids.ts';
import { StateMachineOwner } from './consensus/state-machine-owner.ts';
import { Ticker } from './consensus/ticker.ts';
import { CorruptionChecker } from './duties/corruption-checker.ts';
import { createDuties, type Duty } from './duties/duties.ts';
import { v8HeapUse } from './duties/heap-check.ts';
import { NoSpaceAlarm } from './duties/no-space-alarm.ts';
import { type HeapUse, Quota } from './duties/quota.ts';
import type { MemberOptions } from './member-options.ts';
import type { PeerPorts } from './ports/peer-ports.ts';
import {
  createGatewayCalls,
  createGrpcServer,
  createLocalCalls,
  createServiceTable,
} from './services/grpc-server.ts';
import { ServingState } from './services/health.ts';
import { ResponseHeaders } from './services/response-header.ts';
import { sizeOfResult } from './services/responses.ts';
import { SnapshotTransfer } from './snapshot/snapshot-transfer.ts';
import { Snapshotter } from './snapshot/snapshotter.ts';
import { CoarseClock } from './telemetry/coarse-clock.ts';
import type { Logger } from './telemetry/log.ts';
import type { LoopLag } from './telemetry/loop-lag.ts';
import type { Metrics } from './telemetry/metrics.ts';
import type { ServerMetrics } from './telemetry/metrics-table.ts';
import { RequestTimes } from './telemetry/request-times.ts';
import { SlowRequests } from './telemetry/slow-requests.ts';
import type { Tracer } from './tracing/tracer.ts';

/** Start and stop, as the parts see them. */
export interface MemberLife {
  readonly isStopping: boolean;
  /** Something failed after which the member must not go on. */
  fail(error: unknown): void;
  /** The member does not belong to its cluster any more: it stops. */
  leave(): void;
}

/** What the parts are made of. */
export interface MemberMaterials {
  readonly options: MemberOptions;
  readonly booted: Booted;
  readonly metrics: Metrics;
  readonly storeOptions: StoreOptions;
  readonly tokens: TokenProvider;
  readonly peerPorts: PeerPorts;
  readonly life: MemberLife;
  /** Undefined unless the settings ask for it. */
  readonly tracer: Tracer | undefined;
  /** Follow the calls of clients: the tracer, and what collects for the debug pages. */
  readonly observers: readonly CallObserver[];
}

/** The parts of one member. Nobody takes it whole; tests and simulations look in. */
export class MemberParts {
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly lag: LoopLag | undefined;
  readonly life: MemberLife;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly requestIds: RequestIds;
  /** Read once per turn, for times that need not be exact. */
  readonly turnClock: CoarseClock;
  readonly requestTimes: RequestTimes;
  /** Use of the JavaScript heap. */
  readonly heapUse: () => HeapUse;
  /** Makes spans of requests, proposals and appends. */
  readonly tracing: Tracer | undefined;
  readonly observers: readonly CallObserver[];
  /** Keeps the database file in memory, if one is given. */
  readonly memoryLock: MemoryLock | undefined;
  /** Options of every backend: the first one, and those of other members' databases. */
  readonly storeOptions: StoreOptions;

  // Read from disk by `boot/`.
  readonly directory: DataDirectory;
  readonly wal: Wal;
  readonly storage: MemoryStorage;
  readonly node: RawNode;
  /** Whether the directory held a member before this start. */
  readonly wasInitialized: boolean;
  /** Index of the newest snapshot that the log recorded then. */
  readonly snapshotIndex: number;

  // auth/
  readonly tokens: TokenProvider;
  readonly passwords: Passwords;
  readonly callers: Callers;
  readonly leaseChecks: LeaseChecks;
  readonly throttle: LoginThrottle;
  readonly logins: Logins;

  // consensus/
  readonly raft: RaftState;
  readonly reports: RaftReports;
  readonly store: StateMachineOwner;
  readonly loop: ReadyLoop;
  readonly reads: ReadIndexQueue;
  readonly proposals: Proposals;
  readonly slow: SlowRequests;
  readonly appliedWaits: AppliedWaits;
  readonly leadership: Leadership;
  readonly ticker: Ticker;

  // snapshot/
  readonly transfer: SnapshotTransfer;
  readonly snapshotter: Snapshotter;

  // cluster/
  readonly membership: OwnMembership;
  readonly changes: MembershipChanges;
  readonly leaseRenewals: LeaseRenewals;
  readonly versionMonitor: ClusterVersionMonitor;
  readonly storageVersion: StorageVersionMonitor;
  readonly publication: { again(): Promise<void> };
  readonly peers: Peers;

  // duties/
  readonly quota: Quota;
  readonly noSpaceAlarm: NoSpaceAlarm;
  readonly corruption: CorruptionChecker;
  readonly duties: readonly Duty[];

  // services/
  readonly serving: ServingState;
  readonly header: ResponseHeaders;
  readonly services: ServiceTable;
  /** Calls of these services from inside the process. */
  readonly localCalls: LocalCalls;
  readonly grpc: Server;
  readonly gatewayCalls: LocalCalls;

  constructor(materials: MemberMaterials) {
    const { options, booted, metrics, life } = materials;
    const { config, env, log, traceStream } = options;
    this.config = config;
    this.env = env;
    this.log = log;
    this.metrics = metrics.records;
    this.lag = metrics.lag;
    this.life = life;
    this.memberId = booted.memberId;
    this.clusterId = booted.clusterId;
    this.requestIds = new RequestIds(this.memberId, env.clock.wallMs());
    this.turnClock = new CoarseClock(env.clock, env.timers);
    this.requestTimes = new RequestTimes(this);
    this.heapUse = options.heapUse ?? v8HeapUse;
    this.tracing = materials.tracer;
    this.observers = materials.observers;
    this.memoryLock = options.memoryLock;
    this.storeOptions = materials.storeOptions;

    this.directory = booted.directory;
    this.wal = booted.wal;
    this.wasInitialized = booted.wasInitialized;
    this.storage = booted.storage;
    this.node = booted.node;
    this.snapshotIndex = booted.snapshotIndex;

    this.tokens = materials.tokens;
    this.passwords = this.#createPasswords(options);
    this.callers = new Callers(this);
    this.leaseChecks = new LeaseChecks(this);
    this.throttle = new LoginThrottle(env);
    this.logins = new Logins(this);

    const { turnClock } = this;
    const slowParts = { config, env, turnClock, log, metrics: this.metrics, sizeOfResult };
    this.slow = new SlowRequests(slowParts);
    this.raft = new RaftState(this);
    this.reports = new RaftReports(this);
    this.transfer = new SnapshotTransfer(this);
    this.store = this.#createStore(materials);
    this.loop = new ReadyLoop(this);
    this.reads = new ReadIndexQueue(this);
    this.proposals = new Proposals(this);
    this.appliedWaits = new AppliedWaits(this);
    this.leadership = new Leadership(this);
    this.ticker = new Ticker(this);
    this.snapshotter = new Snapshotter(this);

    this.membership = new OwnMembership(this);
    this.changes = new MembershipChanges(this);
    this.leaseRenewals = new LeaseRenewals(this);
    this.versionMonitor = new ClusterVersionMonitor(this);
    this.storageVersion = new StorageVersionMonitor(this);
    this.publication = { again: () => publishAgain(this) };
    this.peers = this.#createPeers(materials);

    this.quota = new Quota(this);
    this.noSpaceAlarm = new NoSpaceAlarm(this);
    this.corruption = new CorruptionChecker(this);
    this.duties = createDuties(this, options.processMemory);

    this.serving = new ServingState(log);
    this.header = new ResponseHeaders(this.clusterId, this.memberId, this.raft);
    this.services = createServiceTable(this);
    this.localCalls = createLocalCalls(this, this.services);
    const grpcParts = { config, env, turnClock, log, traceStream, observers: this.observers };
    this.grpc = createGrpcServer(grpcParts, this.services, metrics.grpc);
    this.gatewayCalls = createGatewayCalls(this, this.services, this.grpc, metrics.grpc);
  }

  #createPasswords({ passwordRunner }: MemberOptions): Passwords {
    const { config, env, log } = this;
    const runner =
      passwordRunner ?? new PasswordThreads({ timers: env.timers, log: log.child('passwords') });
    return new Passwords({
      ...{ clock: env.clock, entropy: env.entropy, runner },
      cost: config.auth.bcryptCost,
    });
  }

  #createStore({ booted, life }: MemberMaterials): StateMachineOwner {
    const { config, env, log, metrics, reports, slow, transfer } = this;
    const host = new ApplyHost(this);
    const authEvents = new AuthEvents(this);
    return new StateMachineOwner({
      ...{ config, env, log, metrics, booted, transfer },
      ...{ host, authEvents, reports, life, slow },
    });
  }

  #createPeers({ booted, peerPorts }: MemberMaterials): Peers {
    const { config, env, log, metrics, memberId, clusterId, store, transfer } = this;
    const peers = new Peers({
      ...{ env, log, metrics, memberId, clusterId, transfer },
      electionMs: config.electionMs,
      heartbeatMs: config.heartbeatMs,
      ioTimeoutMs: config.peerIoTimeoutMs,
      ports: peerPorts,
      ownUrls: () => store.machine.cluster.member(memberId)?.peerURLs ?? config.advertisePeerUrls,
      host: createPeerHost(this),
    });
    peers.follow(booted.firstMembers);
    return peers;
  }
}
