// Proxies that know of each other: each keeps a key below a prefix, with a lease, and lists all that are
// there. Keys and values are those of etcd's endpoints manager:
//
//     <prefix>/<address>   {"Op":0,"Addr":"<address>","Metadata":"{\"name\":\"<host name>\"}"}

import { hostname } from 'node:os';
import type { Client } from '../../client/index.ts';
import type { Timers } from '../../env/index.ts';
import { REGISTRATION_RETRY_MS } from '../limits.ts';
import type { ProxyLog } from '../log.ts';
import type { ListedProxy } from './cluster-service.ts';

interface RegistrationOptions {
  readonly client: Client;
  readonly timers: Timers;
  readonly log: ProxyLog;
  readonly prefix: string;
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

export class Registration {
  readonly #options: RegistrationOptions;
  /** By key. */
  readonly #proxies = new Map<string, ListedProxy>();
  #lease: bigint | undefined;
  #stopped = false;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    void this.#again(() => this.#register());
    void this.#again(() => this.#follow());
  }

  get proxies(): readonly ListedProxy[] {
    return [...this.#proxies.values()];
  }

  /** Ends the registration at once, if the cluster can be told. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const { client } = this.#options;
    if (this.#lease !== undefined) {
      await client.lease.revoke(this.#lease, { timeoutMs: REGISTRATION_RETRY_MS }).catch(() => {});
    }
    client.close();
  }

  async #again(work: () => Promise<void>): Promise<void> {
    const { timers, log } = this.#options;
    while (!this.#stopped) {
      try {
        await work();
      } catch (error) {
        if (!this.#stopped) log.warn('registration of proxies failed', { error: error as Error });
      }
      if (this.#stopped) return;
      await new Promise<void>((resolve) => void timers.after(REGISTRATION_RETRY_MS, resolve));
    }
  }

  /** Resolves when the lease is lost. */
  async #register(): Promise<void> {
    const { client, prefix, address, ttl, log } = this.#options;
    const { id } = await client.lease.grant(ttl);
    this.#lease = id;
    const metadata = JSON.stringify({ name: hostname() });
    const value = JSON.stringify({ Op: 0, Addr: address, Metadata: metadata });
    await client.kv.put(`${prefix}/${address}`, value, { lease: id });
    log.info('registered session with lease', { addr: address, 'lease-ttl': ttl });
    const reason = await client.lease.keepAlive(id).lost;
    if (reason !== undefined) log.warn('the registration has expired', { reason: String(reason) });
  }

  /** Resolves when the watch ends. */
  async #follow(): Promise<void> {
    const { client, prefix } = this.#options;
    const { kvs, header } = await client.kv.get(`${prefix}/`, { prefix: true });
    this.#proxies.clear();
    for (const { keyText, valueText } of kvs) this.#note(keyText, valueText);
    const watch = client.watch(`${prefix}/`, { prefix: true, startRevision: header.revision + 1 });
    for await (const { type, kv } of watch) {
      if (type === 'put') this.#note(kv.keyText, kv.valueText);
      else this.#proxies.delete(kv.keyText);
    }
  }

  #note(key: string, value: string): void {
    const proxy = proxyIn(value);
    if (proxy !== undefined) this.#proxies.set(key, proxy);
    else this.#options.log.warn('a registration cannot be read', { key });
  }
}

/** Undefined for what is no registration. */
function proxyIn(text: string): ListedProxy | undefined {
  try {
    const { Addr: url, Metadata: metadata } = JSON.parse(text) as Record<string, unknown>;
    if (typeof url !== 'string') return undefined;
    const { name } = JSON.parse(String(metadata)) as { readonly name?: unknown };
    return { url, name: typeof name === 'string' ? name : '' };
  } catch {
    return undefined;
  }
}
