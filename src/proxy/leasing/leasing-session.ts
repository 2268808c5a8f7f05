// What makes a proxy an owner: a lease at the cluster to which its leasing keys are attached, and a watch
// over all leasing keys, by which it hears who wants what it owns and when others have given up.
//
// Both are gained and lost together. While the lease may have run out nothing is owned: the time counts from
// before a renewal is sent, so that a proxy stops before the cluster does.

import { bytesFromLatin1 } from '../../base/index.ts';
import { type Client, isEtcdError, type Watcher } from '../../client/index.ts';
import type { Clock, Timers } from '../../env/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { LEASING_RETRY_MS, LEASING_TTL_S } from '../limits.ts';
import type { ProxyLog } from '../log.ts';
import type { LeasedKeys } from './leased-keys.ts';
import { giveUpRequest, LeasingKeys } from './leasing-keys.ts';

interface LeasingSessionParts {
  readonly client: Client;
  readonly timers: Timers;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: ProxyLog;
  /** Of the leasing keys at the cluster: with its namespace. */
  readonly keys: LeasingKeys;
}

/** Waits until a key is given up. */
interface ReleaseWaiter {
  revision: number;
  wake: () => void;
}

export class LeasingSession {
  readonly #parts: LeasingSessionParts;
  readonly #owned: LeasedKeys;
  #lease: bigint | undefined;
  /** Whether the watch is open. */
  #isWatching = false;
  /** On the monotonic clock. */
  #heldUntilMs = Number.NEGATIVE_INFINITY;
  /** By key. */
  readonly #releases = new Map<string, Set<ReleaseWaiter>>();
  /** Has the lease renewed at once, to know whether it is there. */
  #doubt: () => void = () => {};
  /** Called when there is a session. */
  #starts: (() => void)[] = [];
  #stopped = false;

  constructor(parts: LeasingSessionParts, owned: LeasedKeys) {
    this.#parts = parts;
    this.#owned = owned;
    void this.#run();
  }

  /** The lease to which keys may be attached now; undefined while nothing is owned. */
  get lease(): bigint | undefined {
    return this.#parts.clock.monotonicMs() < this.#heldUntilMs ? this.#lease : undefined;
  }

  /** Resolves when it hears of what others give up. */
  async started(): Promise<void> {
    if (this.#isWatching) return;
    await new Promise<void>((resolve) => this.#starts.push(resolve));
  }

  /** Ends it at once, if the cluster can be told. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#revokeLease();
    this.#parts.client.close();
  }

  // --- What others do -----------------------------------------------------------------------------

  /** Begins to listen for a key; `dispose` ends it. */
  expectRelease(key: string): { after(revision: number): Promise<void>; dispose(): void } {
    const waiter: ReleaseWaiter = { revision: 0, wake: () => {} };
    const others = this.#releases.get(key) ?? new Set();
    this.#releases.set(key, others.add(waiter));
    return {
      after: async (revision) => {
        if (waiter.revision > revision) return;
        await new Promise<void>((resolve) => {
          waiter.wake = () => {
            if (waiter.revision > revision) resolve();
          };
        });
      },
      dispose: () => {
        if (others.delete(waiter) && others.size === 0) this.#releases.delete(key);
      },
    };
  }

  #released(key: string, revision: number): void {
    for (const waiter of this.#releases.get(key) ?? []) {
      waiter.revision = revision;
      waiter.wake();
    }
  }

  /** Gives a key up that has been owned since `revision` or before. */
  giveUp(key: string, revision: number): void {
    void this.#giveUp(key, revision, this.#lease);
  }

  async #giveUp(key: string, revision: number, lease: bigint | undefined): Promise<void> {
    const { client, keys, timers } = this.#parts;
    const request = giveUpRequest(bytesFromLatin1(keys.nameOf(key)), revision);
    const method = etcdserverpb.KVService.methods.txn;
    // With the lease the key goes by itself.
    while (!this.#stopped && lease === this.#lease) {
      try {
        await client.call(method, request, { repeatable: true });
        return;
      } catch {
        await new Promise<void>((resolve) => void timers.after(LEASING_RETRY_MS, resolve));
      }
    }
  }

  // --- Lease and watch ----------------------------------------------------------------------------

  async #run(): Promise<void> {
    const { timers, log } = this.#parts;
    while (!this.#stopped) {
      try {
        await this.#hold();
      } catch (error) {
        if (!this.#stopped) log.warn('the leasing session has ended', { error: error as Error });
      }
      this.#heldUntilMs = Number.NEGATIVE_INFINITY;
      this.#isWatching = false;
      this.#owned.clear();
      await this.#revokeLease();
      // Whoever waits looks again, and waits for the next session.
      for (const key of [...this.#releases.keys()]) this.#released(key, Number.POSITIVE_INFINITY);
      if (this.#stopped) return;
      await new Promise<void>((resolve) => void timers.after(LEASING_RETRY_MS, resolve));
    }
  }

  /** Rejects, or resolves when the watch ends. */
  async #hold(): Promise<void> {
    const { client, clock, keys, log } = this.#parts;
    const askedMs = clock.monotonicMs();
    const { id, ttl, header } = await client.lease.grant(LEASING_TTL_S);
    this.#lease = id;
    const startRevision = header.revision + 1;
    const watch = client.watch(keys.prefix, { prefix: true, startRevision });
    try {
      await watch.created;
      this.#isWatching = true;
      this.#heldUntilMs = askedMs + ttl * 1000;
      log.info('leasing session with lease', { lease: id.toString(16), 'lease-ttl': ttl });
      for (const start of this.#starts.splice(0)) start();
      await Promise.race([this.#follow(watch, id), this.#renew(id, ttl)]);
    } finally {
      watch.close();
    }
  }

  async #renew(id: bigint, ttl: number): Promise<void> {
    const { client, clock, timers } = this.#parts;
    let pauseMs = (ttl * 1000) / 3;
    for (;;) {
      await new Promise<void>((resolve) => {
        const timer = timers.after(pauseMs, resolve);
        this.#doubt = () => {
          timer.cancel();
          resolve();
        };
      });
      if (this.#stopped || this.#lease !== id) return;
      const askedMs = clock.monotonicMs();
      try {
        const answer = await client.lease.keepAliveOnce(id, { timeoutMs: pauseMs });
        if (this.#lease !== id) return;
        this.#heldUntilMs = askedMs + answer.ttl * 1000;
        pauseMs = (answer.ttl * 1000) / 3;
      } catch (error) {
        if (isEtcdError(error, 'LEASE_NOT_FOUND')) throw error;
        pauseMs = LEASING_RETRY_MS;
      }
    }
  }

  async #follow(watch: Watcher, lease: bigint): Promise<void> {
    const { keys } = this.#parts;
    for await (const { type, kv } of watch) {
      const key = keys.keyOf(kv.key);
      if (type === 'delete') {
        // Not given up by us: perhaps with the lease.
        if (this.#owned.revoke(key, kv.modRevision)) this.#doubt();
        this.#released(key, kv.modRevision);
      } else if (kv.lease === lease && LeasingKeys.isRevoke(kv.value)) {
        this.#owned.revoke(key, kv.modRevision);
        this.#owned.avoid(key);
        this.giveUp(key, kv.modRevision);
      }
    }
  }

  /** Everything that was owned is free at once, if the cluster can be told; else when the time is over. */
  async #revokeLease(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease === undefined) return;
    const { client } = this.#parts;
    await client.lease.revoke(lease, { timeoutMs: LEASING_RETRY_MS }).catch(() => {});
  }
}
