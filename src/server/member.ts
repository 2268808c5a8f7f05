// One member: start and stop. Its parts are wired in `wiring.ts`.
//
// Requests are handled by the services, effects are ordered in `consensus/ready-loop.ts`, the data
// directory is read in `boot/boot.ts`.

import type { StreamAddress, Timer } from '../env/index.ts';
import type { Server } from '../grpc/index.ts';
import { formatId, formatVersion } from '../membership/index.ts';
import type { ServiceTable } from '../rpc/index.ts';
import { createTokens } from './auth/create-tokens.ts';
import { boot } from './boot/boot.ts';
import { publishAttributes, publishVersionAlone, TetcdStopped } from './cluster/publication.ts';
import type { ServerConfig } from './config/index.ts';
import { BackendReports } from './consensus/backend-reports.ts';
import { campaignIfOnlyVoter, hastenFirstElection } from './consensus/first-election.ts';
import { openProfilePages, openRequestPages } from './debug/open-pages.ts';
import { createHttpHandler, createUpgradeHandler, type DebugPages } from './http/handler.ts';
import { collectMemberMetrics } from './http/member-metrics.ts';
import { httpSourceOf } from './http/member-source.ts';
import { STOP_GRACE_MS } from './limits.ts';
import type { MemberOptions } from './member-options.ts';
import type { Listeners } from './ports/listeners.ts';
import { bindPorts, givingUp } from './ports/ports.ts';
import { asError } from './telemetry/log.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';
import { logServing } from './telemetry/start-log.ts';
import { walObserver } from './telemetry/wal-observer.ts';
import { collectTlsMetrics } from './tls/tls-metrics.ts';
import type { Tracing } from './tracing/start-tracing.ts';
import { type MemberLife, type MemberMaterials, MemberParts } from './wiring.ts';

type Materials = Omit<MemberMaterials, 'life'>;

export class Member implements MemberLife {
  /** For tests and simulations. */
  readonly parts: MemberParts;
  readonly #options: MemberOptions;
  readonly #metrics: Metrics;
  readonly #listeners: Listeners | undefined;
  readonly #debug: DebugPages[] = [];
  #tracing: Tracing | undefined;
  #stopping: Promise<void> | undefined;

  /** Boots, serves, and resolves when the member is ready: published and listening. */
  static async start(options: MemberOptions): Promise<Member> {
    const { config, env, log, signal } = options;
    const metrics = createMetrics({
      extensive: config.metrics === 'extensive',
      runtime: options.listen !== false,
    });
    const backendReports = new BackendReports(log, metrics.records);
    const storeOptions = { config, env, ...backendReports.callbacks };
    const tokens = await createTokens(config.auth, env, log.child('auth'), options.jwtSignatures);
    const ports = options.ports ?? (await bindPorts({ ...options, tls: options.tls?.clients }));
    const booted = await boot({
      ...storeOptions,
      log,
      metrics: metrics.records,
      signal,
      walSegmentSize: options.walSegmentSize,
      walObserver: walObserver(log.child('wal'), metrics.records),
    }).catch(givingUp(ports));
    const tracing = await startTracingOf(options, () => member.parts.store.applyBeganMs);
    const requests = options.listen === false ? undefined : await openRequestPages(config, env);
    const member: Member = new Member(
      {
        ...{ options, booted, metrics, storeOptions, tokens },
        ...{ peerPorts: ports.peers, tracer: tracing?.tracer },
        observers: [tracing?.tracer, requests?.log].filter((one) => one !== undefined),
      },
      ports.listeners,
    );
    member.#tracing = tracing;
    if (requests !== undefined) member.#debug.push(requests.pages);
    // The start may wait for other members without limit.
    const abort = () => void member.stop().catch(() => undefined);
    signal?.addEventListener('abort', abort);
    try {
      backendReports.attach(member.parts);
      signal?.throwIfAborted();
      await member.#begin();
      return member;
    } catch (error) {
      await member.stop().catch(() => undefined);
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  private constructor(materials: Materials, listeners: Listeners | undefined) {
    this.#options = materials.options;
    this.#metrics = materials.metrics;
    this.#listeners = listeners;
    this.parts = new MemberParts({ ...materials, life: this });
  }

  get config(): ServerConfig {
    return this.#options.config;
  }

  get memberId(): bigint {
    return this.parts.memberId;
  }

  get clusterId(): bigint {
    return this.parts.clusterId;
  }

  /** The gRPC server and what it serves; a program that embeds the member may use either. */
  get grpc(): Server {
    return this.parts.grpc;
  }

  get services(): ServiceTable {
    return this.parts.services;
  }

  /** Addresses for clients, with the ports chosen for 0. */
  get clientAddresses(): readonly StreamAddress[] {
    return this.#listeners?.clientAddresses ?? [];
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  // --- Start -------------------------------------------------------------------------------------

  async #begin(): Promise<void> {
    const { parts } = this;
    const { config, env, log, memberId, clusterId, store, peers, loop } = parts;
    await parts.memoryLock?.cover(parts.directory.database);
    store.resumeCompaction();
    await this.#checkFirst();
    if (this.#listeners !== undefined) {
      const profiles = await openProfilePages(parts);
      if (profiles !== undefined) this.#debug.push(profiles);
      collectMemberMetrics(this.#metrics, parts);
      collectTlsMetrics(this.#metrics, this.#options.tls, env.clock);
    }
    const source = httpSourceOf(parts, this.#metrics, this.#debug);
    this.#listeners?.serveMetrics(createHttpHandler(source, true));
    peers.listen(config.listenPeerUrls);
    parts.membership.follow();
    parts.ticker.start();
    for (const duty of parts.duties) duty.start();
    if (config.initialElectionTickAdvance) {
      campaignIfOnlyVoter(parts);
      hastenFirstElection(parts);
    }
    loop.schedule();
    await publishAttributes(parts);
    if (parts.membership.isAlone) {
      // One after the other, or the version would be logged twice.
      await parts.versionMonitor.check();
      await publishVersionAlone(parts);
    }
    const { version } = store.machine.cluster;
    log.info('published local member to cluster through raft', {
      'local-member-id': formatId(memberId),
      'cluster-id': formatId(clusterId),
      'cluster-version': version === undefined ? 'not_decided' : formatVersion(version),
    });
    parts.serving.start();
    this.#listeners?.serveClients(
      parts.grpc,
      createHttpHandler(source),
      createUpgradeHandler(source),
    );
    logServing(log, config, memberId);
    await env.timers.nextTurn();
    log.info('ready to serve client requests');
  }

  /** Before it takes part in anything, a member that is not new compares its keys with others'. */
  async #checkFirst(): Promise<void> {
    const { config, corruption, wasInitialized, life } = this.parts;
    if (!wasInitialized || !config.featureGates.enabled.InitialCorruptCheck) return;
    await corruption.checkAtStart();
    if (life.isStopping) throw new TetcdStopped();
  }

  // --- Stop --------------------------------------------------------------------------------------

  /** Stops serving, makes everything applied durable, and unlocks the directory. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { env, log, memberId, membership, leadership, grpc } = this.parts;
    log.info('closing etcd server', { 'local-member-id': formatId(memberId) });
    if (!membership.isRemoved) await leadership.handOver();
    this.#stopTimers();
    await this.#listeners?.close();
    const drained = grpc.drain();
    let timer: Timer | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = env.timers.after(STOP_GRACE_MS, resolve);
    });
    await Promise.race([drained, grace]);
    timer?.cancel();
    await this.#letGo();
    log.info('closed etcd server', { 'local-member-id': formatId(memberId) });
  }

  #stopTimers(): void {
    this.parts.ticker.stop();
    for (const duty of this.parts.duties) duty.stop();
  }

  async #letGo(): Promise<void> {
    const { parts } = this;
    const { store, loop } = parts;
    parts.proposals.stop();
    parts.reads.stop();
    parts.leadership.stop();
    parts.appliedWaits.stop();
    parts.passwords.close();
    await parts.memoryLock?.close().catch(() => undefined);
    parts.tokens.disable();
    parts.transfer.stop();
    parts.grpc.close();
    for (const pages of this.#debug) pages.close();
    const traced = this.#tracing?.close();
    store.machine.watch.stop();
    await store.stop();
    // Concurrently: on a full disk a snapshot may wait for a commit that only closing ends.
    const closed = await Promise.allSettled([
      store.machine.close(),
      parts.snapshotter.stop(),
      parts.peers.stop(),
    ]);
    await parts.transfer.close();
    loop.writeCommit();
    loop.stop();
    closed.push(...(await Promise.allSettled([parts.wal.close(), traced])));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  fail(error: unknown): void {
    if (this.#stopping !== undefined || error instanceof TetcdStopped) return;
    this.parts.log.fatal('the member cannot go on', { error: asError(error) });
    this.#stopTimers();
    this.#stopping = (async () => {
      await this.#listeners?.close();
      await this.#letGo().catch(() => undefined);
    })();
    void this.#stopping.then(() => this.#options.onFatal(error));
  }

  leave(): void {
    const { log } = this.parts;
    void this.stop()
      .catch((error: unknown) => log.error('failed to stop', { error: asError(error) }))
      .then(() => this.#options.onRemoved?.());
  }
}

/** Undefined, and nothing is loaded, unless the settings ask for it. */
async function startTracingOf(
  { config, env, log }: MemberOptions,
  applyBeganMs: () => number,
): Promise<Tracing | undefined> {
  const { tracing, listenClientUrls } = config;
  if (tracing === undefined) return undefined;
  const { startTracing } = await import('./tracing/start-tracing.ts');
  return startTracing({ config: tracing, listenClientUrls, env, log, applyBeganMs });
}
