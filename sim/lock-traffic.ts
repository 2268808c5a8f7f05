// Clients that contend for locks and elections, with sessions that they keep, lose and give up.

import { latin1FromBytes, type Random, seededRandom } from '../src/base/index.ts';
import { type Client, v3electionpb, v3lockpb } from '../src/client/index.ts';
import { clientTarget } from './check/client-target.ts';
import type { Hold } from './check/exclusion.ts';
import type { Outcome, Request } from './check/history.ts';
import type { SimCluster } from './cluster.ts';

const LOCKS = ['ka', 'kb'];
const ELECTIONS = ['kc'];
const REQUEST_MS = 3_000;
const TTL_MIN = 2;
const HOLD_MS_MAX = 150;
/** Waiters that change their mind do so within this time. */
const PATIENCE_MS_MAX = 2_000;
/** With members that all work, every queue is served in this time. */
const SERVED_MS_MAX = 30_000;

export interface ContentionOptions {
  readonly cluster: SimCluster;
  readonly seed: number;
  readonly clients: number;
  readonly pauseMs: number;
}

export class Contention {
  readonly holds: Hold[] = [];
  readonly #options: ContentionOptions;
  readonly #contenders: readonly Contender[];
  #running: Promise<unknown> = Promise.resolve();
  #count = 0;

  constructor(options: ContentionOptions) {
    this.#options = options;
    const { cluster, clients, seed } = options;
    const random = seededRandom(seed ^ 0x10cc);
    this.#contenders = Array.from({ length: clients }, (_, i) => {
      // Some know all members, others one each.
      const { nodes } = cluster;
      const known = i % 2 === 0 ? nodes : [nodes[(i >> 1) % nodes.length]!];
      const client = cluster.client(known);
      return new Contender(
        options,
        client,
        `c${i}`,
        seededRandom(random.below(2 ** 32)),
        this.holds,
      );
    });
  }

  /** Nothing is begun after `endMs`; who waits then goes on waiting. */
  begin(endMs: number): void {
    const running = this.#contenders.map(async (each) => {
      await each.run(endMs);
      this.#count++;
    });
    this.#running = Promise.all(running);
  }

  /** When everything works again, whoever waits gets its turn. */
  async end(): Promise<void> {
    const { cluster } = this.#options;
    await cluster.until(() => this.#count === this.#contenders.length, SERVED_MS_MAX, 100);
    for (const { waitsFor } of this.#contenders) {
      if (waitsFor !== undefined)
        cluster.wrong('no lost wake-up', `${waitsFor} is still waited for`);
    }
    cluster.count('[held]', this.holds.length);
    for (const contender of this.#contenders) contender.close();
    await this.#running;
  }
}

interface Session {
  readonly lease: string;
  readonly ttl: number;
  /** Renewed as long as this holds. */
  isKept: boolean;
}

class Contender {
  /** What it has asked for and not been answered. */
  waitsFor: string | undefined = undefined;
  readonly #cluster: SimCluster;
  readonly #client: Client;
  readonly #name: string;
  readonly #random: Random;
  readonly #holds: Hold[];
  readonly #pauseMs: number;
  #session: Session | undefined = undefined;

  constructor(
    { cluster, pauseMs }: ContentionOptions,
    client: Client,
    name: string,
    random: Random,
    holds: Hold[],
  ) {
    this.#cluster = cluster;
    this.#pauseMs = pauseMs;
    this.#client = client;
    this.#name = name;
    this.#random = random;
    this.#holds = holds;
  }

  async run(endMs: number): Promise<void> {
    const { clock } = this.#cluster;
    while (clock.monotonicMs() < endMs) {
      this.#session ??= await this.#begin();
      const session = this.#session;
      if (session !== undefined) await this.#contend(session);
      await this.#sleep(this.#pauseMs);
    }
    if (this.#session !== undefined) await this.#revoke(this.#session);
  }

  close(): void {
    if (this.#session !== undefined) this.#session.isKept = false;
    this.#client.close();
  }

  #sleep(msMax: number): Promise<void> {
    return this.#cluster.sleep(this.#random.below(msMax + 1));
  }

  #do(request: Request, as = this.#name): Promise<Outcome> {
    const target = clientTarget(this.#client, { timeoutMs: REQUEST_MS });
    return this.#cluster.recorder.execute(as, target, request);
  }

  async #begin(): Promise<Session | undefined> {
    const lease = String(1 + this.#random.below(2 ** 32) * 1000 + this.#random.below(1000));
    const ttl = TTL_MIN + this.#random.below(2 * TTL_MIN);
    const granted = await this.#do({ kind: 'grant', lease, ttl });
    if (granted.kind !== 'ok') return undefined;
    const session = { lease, ttl, isKept: true };
    void this.#keep(session);
    return session;
  }

  async #keep(session: Session): Promise<void> {
    const { lease, ttl } = session;
    for (;;) {
      await this.#cluster.sleep(ttl * 300);
      if (!session.isKept) return;
      const renewed = await this.#do({ kind: 'keepAlive', lease }, `${this.#name}.keeper`);
      const isGone =
        (renewed.kind === 'failed' && renewed.error === 'LEASE_NOT_FOUND') ||
        (renewed.kind === 'ok' && renewed.result.kind === 'lease' && renewed.result.ttl < 0);
      if (isGone) this.#drop(session);
    }
  }

  /** It is not renewed any more. */
  #drop(session: Session): void {
    session.isKept = false;
    if (this.#session === session) this.#session = undefined;
  }

  async #revoke(session: Session): Promise<void> {
    this.#drop(session);
    this.#endHolds((hold) => hold.lease === session.lease);
    await this.#do({ kind: 'revoke', lease: session.lease });
  }

  /** All that are meant: a session may have won again what it held. */
  #endHolds(isMeant: (hold: Hold) => boolean): void {
    const ended = this.#cluster.recorder.moment();
    for (const hold of this.#holds) if (isMeant(hold)) hold.ended ??= ended;
  }

  async #contend(session: Session): Promise<void> {
    const names = [...LOCKS, ...ELECTIONS];
    const name = names[this.#random.below(names.length)]!;
    const abort = new AbortController();
    if (this.#random.below(4) === 0) {
      const patienceMs = this.#random.below(PATIENCE_MS_MAX);
      this.#cluster.timers.after(patienceMs, () => abort.abort(new Error('out of patience')));
    }
    if (this.#random.below(16) === 0) this.#loseWhileWaiting(session);
    this.waitsFor = `${name} by ${this.#name}`;
    const limits = { timeoutMs: Number.POSITIVE_INFINITY, signal: abort.signal };
    const isElection = ELECTIONS.includes(name);
    const won = isElection
      ? this.#campaign(name, session, limits)
      : this.#lock(name, session, limits);
    const giveUp = await won.catch(() => undefined);
    this.waitsFor = undefined;
    if (giveUp === undefined) {
      // What was cancelled may delete the session's key some time later.
      await this.#revoke(session);
      return;
    }
    await this.#sleep(HOLD_MS_MAX);
    const choice = this.#random.below(20);
    if (choice === 0) this.#drop(session);
    else if (choice === 1) await this.#revoke(session);
    else await giveUp().catch(() => undefined);
  }

  /** The session of who waits or holds ends by itself, some time from now. */
  #loseWhileWaiting(session: Session): void {
    this.#cluster.timers.after(this.#random.below(PATIENCE_MS_MAX), () => this.#drop(session));
  }

  /** Resolves to how it is given up. */
  async #lock(name: string, session: Session, limits: Limits): Promise<() => Promise<void>> {
    const { lock, unlock } = v3lockpb.LockService.methods;
    const request = { name: Buffer.from(name, 'latin1'), lease: BigInt(session.lease) };
    const { key, header } = await this.#client.call(lock, request, limits);
    const hold = this.#got(name, session, { key, revision: header?.revision ?? 0 });
    return async () => {
      this.#endHolds(({ key }) => key === hold.key);
      await this.#client.call(unlock, { key }, { timeoutMs: REQUEST_MS });
    };
  }

  async #campaign(name: string, session: Session, limits: Limits): Promise<() => Promise<void>> {
    const { campaign, proclaim, resign } = v3electionpb.ElectionService.methods;
    const value = Buffer.from(this.#name, 'latin1');
    const request = { name: Buffer.from(name, 'latin1'), lease: BigInt(session.lease), value };
    const { leader } = await this.#client.call(campaign, request, limits);
    if (leader === undefined) throw new Error('an election that is won has a leader');
    const hold = this.#got(name, session, { key: leader.key, revision: 0 });
    const limited = { timeoutMs: REQUEST_MS };
    if (this.#random.below(2) === 0) await this.#client.call(proclaim, { leader, value }, limited);
    return async () => {
      this.#endHolds(({ key }) => key === hold.key);
      await this.#client.call(resign, { leader }, limited);
    };
  }

  #got(
    name: string,
    { lease }: Session,
    { key, revision }: { readonly key: Uint8Array; readonly revision: number },
  ): Hold {
    const returned = this.#cluster.recorder.moment();
    const hold = { name, lease, key: latin1FromBytes(key), revision, returned, ended: undefined };
    this.#holds.push(hold);
    return hold;
  }
}

interface Limits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}
