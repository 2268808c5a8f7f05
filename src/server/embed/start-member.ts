// A member inside a program: no separate process, no signal handlers, no output by default, and never an
// exit of the process.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { createFileMemoryLock, type Env } from '../../env/index.ts';
import { createNodeEnv, createNodeNetwork } from '../../net/index.ts';
import { IMMEDIATE_PASSWORDS } from '../auth/password-threads.ts';
import {
  type Built,
  type ConfigOptions,
  configFromOptions,
  type EndpointTls,
  type ServerConfig,
} from '../config/index.ts';
import { Member } from '../member.ts';
import { memberLocalAddress } from '../ports/local-address.ts';
import { createLogger, type Logger } from '../telemetry/log.ts';
import { openOutputs } from '../telemetry/log-outputs.ts';
import { isSecure, loadMemberTls, type MemberTls } from '../tls/member-tls.ts';
import { bindDoors, type Doors, type NetworkClients, settingsAt } from './doors.ts';
import { type ClosedReason, deferred, RunningMember } from './running-member.ts';

/** Settings of the member, and options for the program that embeds it. */
export interface StartMemberOptions extends ConfigOptions {
  /**
   * Replacements of real effects. `{ disk: createMemoryDisk() }` keeps the data in memory. With a
   * `network`, clients are served on it, with gRPC only.
   */
  readonly env?: Partial<Env> | undefined;
  /** Called with each log line, including its newline; excludes `logOutputs`. */
  readonly log?: ((line: string) => void) | undefined;
  /** Aborting it closes the member, or cancels its start. */
  readonly signal?: AbortSignal | undefined;
}

const CALLER = 'server/embed.ts';

/**
 * Starts a member in this process. Resolves when it serves: its log is replayed, it has joined its
 * cluster and listens. Without a majority of the members it keeps waiting; see `signal`.
 *
 * Rejects with the signal's reason if that was aborted, else with a TetcdError: INVALID_ARGUMENT names
 * the option, LOCKED the directory that another process uses, ALREADY_EXISTS an address in use;
 * DISK_FULL, CORRUPT and others name the file. Nothing is left running then.
 */
export async function startMember(options: StartMemberOptions = {}): Promise<RunningMember> {
  const { env: replaced = {}, log: line, signal, ...settings } = options;
  signal?.throwIfAborted();
  const plainEnv = envOf(replaced);
  const isForeign = replaced.network !== undefined;
  const asked = configFromOptions(settings);
  if (isForeign) assertNetworkAlone(asked.config);
  const { clientTls, peerTls } = asked.config;
  if (replaced.disk !== undefined && (clientTls.generates || peerTls.generates)) {
    throw invalid('options autoTls and peerAutoTls need the real disk, not the one given with env');
  }
  if (replaced.disk !== undefined && asked.config.memoryMlock) {
    throw invalid('option memoryMlock needs the real disk, not the one given with env');
  }
  const log = await loggerOf(asked, settings, plainEnv, line);
  const ended = deferred<ClosedReason>();
  let fatal: { readonly error: unknown } | undefined;
  let doors: Doors | undefined;
  let tls: MemberTls | undefined;
  const starting = new AbortController();
  const giveUp = (): void => starting.abort();
  signal?.addEventListener('abort', giveUp);
  try {
    tls = await loadMemberTls(asked.config, { env: plainEnv, log });
    const env = isForeign ? plainEnv : realEnv(plainEnv, asked.config, log, tls);
    doors = await bindDoors(asked.config, env, log, { isForeign, tls: tls?.clients });
    const { ports, clients } = doors;
    const built = await settingsAt(settings, asked.config, doors);
    for (const { level, msg, fields } of built.notes) log[level](msg, fields);
    const memoryLock = asked.config.memoryMlock ? await createFileMemoryLock() : undefined;
    const member = await Member.start({
      ...{ config: built.config, env, log, tls, memoryLock, listen: !isForeign, ports },
      signal: starting.signal,
      // Threads know no simulated time.
      ...(replaced.timers === undefined ? {} : { passwordRunner: IMMEDIATE_PASSWORDS }),
      onFatal: (error) => {
        fatal = { error };
        ended.resolve({ reason: 'failed', error });
      },
      onRemoved: () => ended.resolve({ reason: 'removed' }),
    });
    clients?.serve(member.grpc);
    return runningOf(member, log, clients, ended.promise, signal);
  } catch (error) {
    await doors?.clients?.close();
    await tls?.takeBack();
    log.end();
    signal?.throwIfAborted();
    throw fatal === undefined ? error : fatal.error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}

/** Picked one by one: the parts of an env may be its getters. */
function envOf(replaced: Partial<Env>): Env {
  const real = createNodeEnv();
  return {
    clock: replaced.clock ?? real.clock,
    timers: replaced.timers ?? real.timers,
    entropy: replaced.entropy ?? real.entropy,
    disk: replaced.disk ?? real.disk,
    network: replaced.network ?? real.network,
  };
}

/** With a network of the program's, what is spoken there is its own business. */
function assertNetworkAlone(config: ServerConfig): void {
  const option = (['listenClientHttpUrls', 'listenMetricsUrls'] as const).find(
    (name) => config[name].length > 0,
  );
  if (option !== undefined) {
    throw invalid(`option ${option} cannot be served on the network given with env`);
  }
  const urls = [...config.listenClientUrls, ...config.listenPeerUrls];
  const { clientTls, peerTls } = config;
  const isTls = ({ certFile, trustedCaFile, generates }: EndpointTls): boolean =>
    certFile !== '' || trustedCaFile !== '' || generates;
  if (urls.some(isSecure) || isTls(clientTls) || isTls(peerTls)) {
    throw invalid('the network given with env does not take options of TLS');
  }
}

/** The real network, encrypted between members where that is asked for. */
function realEnv(env: Env, config: ServerConfig, log: Logger, tls: MemberTls | undefined): Env {
  const network = createNodeNetwork(tls?.peers, {
    localAddress: memberLocalAddress(config, log),
    reusePort: config.socketReusePort,
  });
  return { ...env, network };
}

async function loggerOf(
  { config: { log } }: Built,
  options: ConfigOptions,
  { clock }: Env,
  line: StartMemberOptions['log'],
): Promise<Logger> {
  if (line !== undefined && typeof line !== 'function') {
    throw invalid(`option log must be a function, not ${String(line)}`);
  }
  if (options.logOutputs !== undefined) {
    if (line !== undefined) throw invalid('options log and logOutputs contradict each other');
    return createLogger(log, await openOutputs(log, clock), clock, CALLER);
  }
  const sink = { write: line ?? (() => undefined) };
  const level = line === undefined ? 'fatal' : log.level;
  return createLogger({ level, format: log.format }, sink, clock, CALLER);
}

function runningOf(
  member: Member,
  log: Logger,
  clients: NetworkClients | undefined,
  ended: Promise<ClosedReason>,
  signal: AbortSignal | undefined,
): RunningMember {
  const { config, memberId, clusterId } = member;
  const release = async (): Promise<void> => {
    await clients?.close();
    log.end();
  };
  const running = new RunningMember(
    {
      memberId,
      clusterId,
      name: config.name,
      clientUrls: textsOf(config.listenClientUrls),
      clientHttpUrls: textsOf(config.listenClientHttpUrls),
      metricsUrls: textsOf(config.listenMetricsUrls),
      peerUrls: textsOf(config.listenPeerUrls),
      stop: () => member.stop().finally(release),
    },
    ended,
  );
  void ended.then(release);
  const close = (): void => void running.close().catch(() => undefined);
  signal?.addEventListener('abort', close);
  void running.closed.then(() => signal?.removeEventListener('abort', close));
  if (signal?.aborted === true) close();
  return running;
}

function textsOf(urls: readonly { readonly text: string }[]): readonly string[] {
  return Object.freeze(urls.map(({ text }) => text));
}

function invalid(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
}
