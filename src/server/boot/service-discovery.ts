// `--discovery-endpoints`: the members of a new cluster find each other at another cluster. There
//
//     /_etcd/registry/<token>/_config/size      how many members the new cluster has, put by an operator
//     /_etcd/registry/<token>/members/<id>      `name=peerURL,…` of each, put by the member itself
//
// The first members in the order in which they registered are the cluster. Keys, rules and texts are those
// of etcd's `api/v3discovery`, so that real members and ours find each other.

import { posix } from 'node:path';
import { Client, type ClientOptions, parseEndpoint } from '../../client/index.ts';
import type { Env } from '../../env/index.ts';
import { formatId } from '../../membership/index.ts';
import { loadCertificateFiles, socketConnect } from '../../net/index.ts';
import { type InitialMember, parseInitialCluster, type ServiceDiscovery } from '../config/index.ts';
import {
  DELAY_MS_MAX,
  DISCOVERY_DIAL_TIMEOUT_MS,
  DISCOVERY_RETRY_MS_MAX,
  DISCOVERY_RETRY_MS_MIN,
} from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import { DiscoveryError } from './discovery-error.ts';

type DiscoveryEnv = Pick<Env, 'clock' | 'timers' | 'entropy' | 'network'>;

interface DiscoveryOptions {
  readonly discovery: ServiceDiscovery;
  readonly env: DiscoveryEnv;
  readonly log: Logger;
  /** Aborting it rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Registers a member and waits, without limit, until the cluster is complete; its members. `self` is
 * `name=peerURL,…`. Rejects with a DiscoveryError for a token without a size, and for a cluster that is
 * complete without this member. A request that fails is repeated.
 */
export async function joinCluster(
  options: DiscoveryOptions,
  memberId: bigint,
  self: string,
): Promise<readonly InitialMember[]> {
  const { discovery, signal } = options;
  const { token, endpoints } = discovery;
  const fields = { 'discovery-token': token, 'discovery-endpoints': endpoints.join(',') };
  const log = options.log;
  let registry: Registry | undefined;
  try {
    const client = await connectedClient(options);
    registry = new Registry({ ...options, client, fields }, memberId);
    const cluster = await registry.join(self);
    log.info('discovery joined cluster successfully', { ...fields, cluster });
    const members = parseInitialCluster(cluster);
    if (typeof members === 'string') throw new Error('discovery: invalid peer URL');
    return members;
  } catch (error) {
    signal?.throwIfAborted();
    const failed = asError(error);
    log.error('discovery failed to join cluster', { ...fields, cluster: '', error: failed });
    throw new DiscoveryError(failed);
  } finally {
    registry?.close();
  }
}

// --- The registry ----------------------------------------------------------------------------------

interface RegistryParts extends DiscoveryOptions {
  readonly client: Client;
  readonly fields: Readonly<Record<string, string>>;
}

interface Registered {
  readonly key: string;
  /** `name=peerURL,…` */
  readonly info: string;
  readonly createRevision: number;
}

interface State {
  readonly size: number;
  /** In the order in which they registered. */
  readonly members: Registered[];
  /** What they were read at. */
  readonly revision: number;
}

/** Refused for good: asking again would not help. */
class Refusal extends Error {}

class Registry {
  readonly #parts: RegistryParts;
  readonly #sizeKey: string;
  readonly #membersPrefix: string;
  readonly #ownKey: string;
  #retries = 0;

  constructor(parts: RegistryParts, memberId: bigint) {
    this.#parts = parts;
    const cluster = posix.join('/_etcd/registry', parts.discovery.token);
    this.#sizeKey = posix.join(cluster, '_config/size');
    this.#membersPrefix = posix.join(cluster, 'members');
    this.#ownKey = posix.join(this.#membersPrefix, formatId(memberId));
  }

  close(): void {
    this.#parts.client.close();
  }

  /** `name=peerURL,…` of the whole cluster. */
  async join(self: string): Promise<string> {
    await this.#look();
    await this.#register(self);
    let state = await this.#look();
    while (state.members.length < state.size) {
      await this.#await(state);
      // The watch has ended before all were there: what it has missed is read.
      if (state.members.length < state.size) state = await this.#look();
    }
    const { members, size } = state;
    return members
      .slice(0, size)
      .map(({ info }) => info)
      .join(',');
  }

  /** Rejects if the cluster is complete without this member. */
  async #look(): Promise<State> {
    const state = await this.#repeated('cluster status check', () => this.#read());
    const { members, size } = state;
    const at = members.findIndex(({ key }) => key === this.#ownKey);
    if ((at < 0 ? members.length : at) >= size) throw new Refusal('discovery: cluster is full');
    return state;
  }

  async #read(): Promise<State> {
    const { client, log, fields, signal } = this.#parts;
    const limits = this.#limits();
    const size = await client.kv.get(this.#sizeKey, limits).catch((error: unknown) => {
      this.#warn('failed to get cluster size from discovery service', error, {
        clusterSizeKey: this.#sizeKey,
      });
      throw error;
    });
    signal?.throwIfAborted();
    const expected = sizeOf(size.kv?.valueText);
    const found = await client.kv
      .get(this.#membersPrefix, { prefix: true, ...limits })
      .catch((error: unknown) => {
        this.#warn('failed to get cluster members from discovery service', error, {
          membersKeyPrefix: this.#membersPrefix,
        });
        throw error;
      });
    const members: Registered[] = [];
    for (const kv of found.kvs) {
      note({ log, fields }, members, {
        key: kv.keyText.trim(),
        info: kv.valueText.trim(),
        createRevision: kv.createRevision,
      });
    }
    return { size: expected, members, revision: found.header.revision };
  }

  async #register(info: string): Promise<void> {
    const { client, log, fields } = this.#parts;
    const what = { memberKey: this.#ownKey };
    await this.#repeated('register member itself', () =>
      client.kv.put(this.#ownKey, info, this.#limits()).catch((error: unknown) => {
        const text = 'failed to register members itself to the discovery service';
        this.#warn(text, error, what);
        throw error;
      }),
    );
    log.info('register member itself successfully', { ...fields, ...what, memberInfo: info });
  }

  /** Adds the members that register, until all are there or the watch ends. */
  async #await({ members, size, revision }: State): Promise<void> {
    const { client, log, fields, signal } = this.#parts;
    const counts = () => ({ clusterSize: size, 'found-peers': members.length });
    log.info('waiting for peers from discovery service', { ...fields, ...counts() });
    const watch = client.watch(this.#membersPrefix, {
      prefix: true,
      startRevision: revision + 1,
      signal,
    });
    try {
      for await (const { kv } of watch) {
        note({ log, fields }, members, {
          key: kv.keyText.trim(),
          info: kv.valueText.trim(),
          createRevision: kv.createRevision,
        });
        if (members.length >= size) break;
      }
    } catch (error) {
      signal?.throwIfAborted();
      this.#warn('failed to wait for peers from discovery service', error, counts());
      await this.#backOff('wait for peers');
      return;
    }
    log.info('found all needed peers from discovery service', { ...fields, ...counts() });
  }

  #limits(): { readonly timeoutMs: number; readonly signal?: AbortSignal } {
    const { discovery, signal } = this.#parts;
    const timeoutMs = Math.min(Math.max(0, discovery.requestTimeoutMs), DELAY_MS_MAX);
    return signal === undefined ? { timeoutMs } : { timeoutMs, signal };
  }

  /** Tries again and again, with growing pauses, but what is refused for good. */
  async #repeated<T>(step: string, work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const done = await work();
        this.#retries = 0;
        return done;
      } catch (error) {
        this.#parts.signal?.throwIfAborted();
        if (error instanceof Refusal) throw error;
      }
      await this.#backOff(step);
    }
  }

  async #backOff(reason: string): Promise<void> {
    const { env, log, fields, signal } = this.#parts;
    const pauseMs = Math.min(DISCOVERY_RETRY_MS_MIN * 2 ** this.#retries++, DISCOVERY_RETRY_MS_MAX);
    const backoff = `${pauseMs / 1000}s`;
    log.warn('retry connecting to discovery service', { ...fields, reason, backoff });
    await new Promise<void>((resolve) => env.timers.after(pauseMs, resolve));
    signal?.throwIfAborted();
  }

  #warn(text: string, error: unknown, more: Readonly<Record<string, string | number>>): void {
    const { log, fields } = this.#parts;
    log.warn(text, { ...fields, ...more, error: asError(error) });
  }
}

/** Adds a member in its place, unless it is known or makes no sense, and logs which. */
function note(
  { log, fields }: Pick<RegistryParts, 'log' | 'fields'>,
  members: Registered[],
  found: Registered,
): void {
  const what = { ...fields, memberKey: found.key, memberInfo: found.info };
  if (!found.info.includes('=')) {
    log.warn('invalid peer info returned from discovery service', what);
  } else if (members.some(({ key }) => key === found.key)) {
    log.warn('found duplicate peer from discovery service', what);
  } else {
    log.info('found peer from discovery service', what);
    members.push(found);
    members.sort((a, b) => a.createRevision - b.createRevision);
  }
}

function sizeOf(text: string | undefined): number {
  if (text === undefined) throw new Refusal('discovery: size key not found');
  const size = /^[+-]?\d+$/.test(text) ? Number(text) : 0;
  if (size <= 0 || !Number.isSafeInteger(size)) throw new Refusal('discovery: size key is bad');
  return size;
}

// --- The client ------------------------------------------------------------------------------------

async function connectedClient(options: DiscoveryOptions): Promise<Client> {
  const { discovery, signal } = options;
  const client = new Client(await clientOptions(options));
  if (discovery.auth === undefined) return client;
  const limits = { timeoutMs: dialTimeoutMs(discovery) };
  try {
    await client.auth.authenticate(signal === undefined ? limits : { ...limits, signal });
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

async function clientOptions({ discovery, env }: DiscoveryOptions): Promise<ClientOptions> {
  const { endpoints, keepaliveTimeMs, keepaliveTimeoutMs, auth } = discovery;
  const { sendBytesMax, receiveBytesMax } = discovery;
  const isEncrypted = encrypts(discovery);
  return {
    endpoints,
    waitForReady: true,
    connectTimeoutMs: dialTimeoutMs(discovery),
    ...(keepaliveTimeMs > 0
      ? { keepalive: { intervalMs: keepaliveTimeMs, timeoutMs: Math.max(1, keepaliveTimeoutMs) } }
      : {}),
    ...(auth === undefined ? {} : { auth }),
    ...(isEncrypted ? { tls: true } : {}),
    ...(sendBytesMax > 0 ? { sendBytesMax } : {}),
    ...(receiveBytesMax > 0 ? { receiveBytesMax } : {}),
    runtime: {
      ...{ clock: env.clock, timers: env.timers, entropy: env.entropy },
      connect: isEncrypted
        ? await encryptedConnect(discovery)
        : (address, timeoutMs) => env.network.connect(address, timeoutMs),
    },
  };
}

/** As etcd's client: files, a name or a flag ask for TLS where an address says nothing. */
function encrypts({ endpoints, tls }: ServiceDiscovery): boolean {
  const says = endpoints.map((endpoint) => parseEndpoint(endpoint).secure);
  const isAsked =
    !tls.insecureTransport ||
    tls.insecureSkipVerify ||
    [tls.certFile, tls.keyFile, tls.trustedCaFile, tls.serverName].some((text) => text !== '');
  return says.includes(true) || (isAsked && says.includes(undefined));
}

async function encryptedConnect({
  tls: { certFile, keyFile, trustedCaFile, serverName, insecureSkipVerify },
}: ServiceDiscovery): Promise<NonNullable<ClientOptions['runtime']>['connect']> {
  if ((certFile === '') !== (keyFile === '')) {
    const files = `[key: ${keyFile}, cert: ${certFile}]`;
    throw new Error(`KeyFile and CertFile must both be present${files}`);
  }
  const given = (text: string): string | undefined => (text === '' ? undefined : text);
  const files = await loadCertificateFiles({
    paths: { cert: given(certFile), key: given(keyFile), trustedCa: given(trustedCaFile) },
    insecure: insecureSkipVerify,
    serverName: given(serverName),
  });
  const plain = socketConnect();
  const encrypted = socketConnect({ tls: files.clientTls, protocol: 'h2' });
  return (endpoint, timeoutMs) =>
    (endpoint.scheme === 'https' ? encrypted : plain)(endpoint, timeoutMs);
}

/** As in etcd, 0 is no limit of its own. */
function dialTimeoutMs({ dialTimeoutMs }: ServiceDiscovery): number {
  return dialTimeoutMs > 0 ? Math.min(dialTimeoutMs, DELAY_MS_MAX) : DISCOVERY_DIAL_TIMEOUT_MS;
}
