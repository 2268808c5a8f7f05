// A world with a client and one or more servers of a few lines, that keep a history of events together
// and serve it to watches as etcd does, and that can be told to misbehave, each by itself.

import { invariant } from '../base/index.ts';
import type { Listener } from '../env/index.ts';
import { type SimEnv, SimWorld } from '../env/sim/index.ts';
import {
  type Call,
  createServer,
  type Server,
  STATUS,
  type StatusCode,
  type StreamCall,
} from '../grpc/index.ts';
import { etcdserverpb, health, mvccpb } from '../protocol/index.ts';
import { Client } from './client.ts';
import type { ClientOptions, Runtime } from './options.ts';

const PORT = 2379;
const INVALID_TOKEN = 'etcdserver: invalid auth token';
const { WatchRequestCodec, WatchResponseCodec } = etcdserverpb;

export interface Change {
  readonly key: string;
  /** Undefined deletes the key. */
  readonly value: string | undefined;
}

interface ServedWatch {
  readonly id: bigint;
  readonly request: etcdserverpb.WatchCreateRequest;
  /** First revision that it has not been sent. */
  nextRevision: number;
}

class WatchCall {
  readonly call: StreamCall;
  readonly watches = new Map<bigint, ServedWatch>();
  nextId = 0n;

  constructor(call: StreamCall) {
    this.call = call;
  }

  send(init: etcdserverpb.WatchResponseInit): void {
    this.call.write(WatchResponseCodec, WatchResponseCodec.create(init));
  }
}

/** What arrived for one path, in order. */
type Counts = Map<string, number>;

/** What the members of a cluster agree about. */
class SharedState {
  /** Events by revision; revision 1 is the empty store. */
  readonly history: mvccpb.Event[][] = [[], []];
  readonly leases = new Map<bigint, number>();
  readonly keptAliveAtMs: number[] = [];
  /** What the member list says. */
  members: etcdserverpb.Member[] = [];
  compacted = 0;
  readonly servers: SimEtcd[] = [];
}

export class SimEtcd {
  readonly counts: Counts = new Map();
  /** False: it knows no leader. Set it through `loseLeader`. */
  hasLeader = true;
  isLearner = false;
  /** It takes renewals of leases and never answers. */
  keepsSilent = false;
  /** Revisions that it has yet to learn of. */
  lag = 0;
  /** Events per response when a revision is cut into fragments. */
  fragmentEvents = Number.POSITIVE_INFINITY;
  /** Called before each response with events; 'break' ends the stream instead of sending it. */
  beforeEvents: (() => 'send' | 'break') | undefined = undefined;
  /** Called for a unary request; a status fails it, before or after it took effect. */
  beforeUnary: ((path: string) => FailedUnary | undefined) | undefined = undefined;
  /** The status with which watch streams are refused. */
  refuseWatches: { readonly status: StatusCode; readonly text: string } | undefined = undefined;
  token: string | undefined = undefined;
  /** What becomes of the next requests for a token, in order; after them they are granted. */
  readonly tokenRefusals: (FailedUnary | 'silence')[] = [];
  /** No token is ever right. */
  refusesTokens = false;
  readonly #env: SimEnv;
  readonly #shared: SharedState;
  readonly #memberId: bigint;
  readonly #calls = new Set<WatchCall>();
  readonly #keepAlives = new Set<StreamCall>();
  #server: Server;
  #listener: Listener | undefined = undefined;

  constructor(env: SimEnv, shared = new SharedState()) {
    this.#env = env;
    this.#shared = shared;
    this.#memberId = BigInt(shared.servers.push(this) + 1);
    this.#server = this.#newServer();
  }

  get history(): mvccpb.Event[][] {
    return this.#shared.history;
  }

  get leases(): Map<bigint, number> {
    return this.#shared.leases;
  }

  get keptAliveAtMs(): number[] {
    return this.#shared.keptAliveAtMs;
  }

  get compacted(): number {
    return this.#shared.compacted;
  }

  set members(members: readonly etcdserverpb.MemberInit[]) {
    this.#shared.members = members.map((each) => etcdserverpb.MemberCodec.create(each));
  }

  /** As far as this server knows. */
  get revision(): number {
    return Math.max(1, this.history.length - 1 - this.lag);
  }

  get watchStreams(): number {
    return this.#calls.size;
  }

  get watches(): number {
    return [...this.#calls].reduce((sum, { watches }) => sum + watches.size, 0);
  }

  async listen(): Promise<void> {
    this.#listener = await this.#env.network.listen({ host: '', port: PORT }, (stream) => {
      this.#server.accept(stream);
    });
  }

  /** All connections are closed, and new ones refused until it listens again. */
  async stop(): Promise<void> {
    invariant(this.#listener !== undefined, 'a server that listens is stopped');
    await this.#listener.close();
    this.#listener = undefined;
    this.restart();
  }

  get listens(): boolean {
    return this.#listener !== undefined;
  }

  /** Streams of clients that need a leader end. */
  loseLeader(): void {
    this.hasLeader = false;
    const needsOne = ({ metadata }: StreamCall): boolean => metadata.get('hasleader') === 'true';
    for (const state of [...this.#calls]) {
      if (!needsOne(state.call)) continue;
      this.#calls.delete(state);
      state.call.end(STATUS.UNAVAILABLE, 'etcdserver: no leader');
    }
    for (const call of [...this.#keepAlives]) {
      if (needsOne(call)) call.end(STATUS.UNAVAILABLE, 'etcdserver: no leader');
    }
  }

  /** It has heard of everything. */
  catchUp(): void {
    this.lag = 0;
    for (const call of [...this.#calls]) this.#serve(call);
  }

  /** All connections are closed; new ones are accepted. */
  restart(): void {
    this.#server.close();
    this.#calls.clear();
    this.#keepAlives.clear();
    this.#server = this.#newServer();
  }

  apply(...changes: readonly Change[]): number {
    const revision = this.history.length;
    for (const server of this.#shared.servers) if (server.lag > 0) server.lag++;
    this.history.push(
      changes.map(({ key, value }) => ({
        type: value === undefined ? mvccpb.EventType.DELETE : mvccpb.EventType.PUT,
        kv: mvccpb.KeyValueCodec.create({
          key: Buffer.from(key),
          value: Buffer.from(value ?? ''),
          modRevision: revision,
        }),
        prevKv: undefined,
      })),
    );
    for (const server of this.#shared.servers) {
      for (const call of [...server.#calls]) server.#serve(call);
    }
    return revision;
  }

  compact(revision: number): void {
    this.#shared.compacted = revision;
  }

  /** Ends all watch streams with a status. */
  endWatchStreams(status: StatusCode, text = ''): void {
    for (const { call } of [...this.#calls]) call.end(status, text);
    this.#calls.clear();
  }

  endKeepAliveStreams(status: StatusCode, text = ''): void {
    for (const call of [...this.#keepAlives]) call.end(status, text);
    this.#keepAlives.clear();
  }

  /** Sends a response to every watch as it is. */
  inject(init: etcdserverpb.WatchResponseInit): void {
    for (const call of this.#calls) {
      for (const watchId of call.watches.keys()) call.send({ watchId, ...init });
    }
  }

  progress(): void {
    this.inject({ header: this.#header() });
  }

  cancelWatches(cancelReason: string, compactRevision = 0): void {
    for (const call of this.#calls) {
      for (const watchId of call.watches.keys()) {
        call.send({
          header: this.#header(),
          watchId,
          canceled: true,
          cancelReason,
          compactRevision,
        });
      }
      call.watches.clear();
    }
  }

  #isRefused({ metadata }: Call): boolean {
    if (this.refusesTokens) return true;
    return this.token !== undefined && metadata.get('token') !== this.token;
  }

  #header(revision = this.revision): etcdserverpb.ResponseHeader {
    return { clusterId: 1n, memberId: this.#memberId, revision, raftTerm: 3 };
  }

  /** What the server says before it looks at the request. */
  #refusal({ metadata, path }: Call): FailedUnary | undefined {
    const needsLeader = metadata.get('hasleader') === 'true';
    if (!this.hasLeader && needsLeader) return refused(STATUS.UNAVAILABLE, 'etcdserver: no leader');
    if (this.isLearner && !/\/(?:Status|Check)$/.test(path)) {
      const text = 'etcdserver: rpc not supported for learner';
      return refused(STATUS.FAILED_PRECONDITION, text);
    }
    return undefined;
  }

  #newServer(): Server {
    const server = createServer({ clock: this.#env.clock, timers: this.#env.timers });
    const { range, put } = etcdserverpb.KVService.methods;
    const unary = <Q, QI, R, RI>(
      method: {
        readonly path: string;
        readonly request: { decode(bytes: Uint8Array): Q; create(init?: QI): Q };
        readonly response: {
          size(message: R): number;
          write(m: R, b: Uint8Array, o: number): number;
          create(init?: RI): R;
        };
      },
      answer: (request: Q) => RI,
    ): void => {
      server.unary(method.path, (call, bytes) => {
        this.counts.set(method.path, (this.counts.get(method.path) ?? 0) + 1);
        if (this.#isRefused(call)) {
          call.fail(STATUS.UNAUTHENTICATED, INVALID_TOKEN);
          return;
        }
        const failure = this.#refusal(call) ?? this.beforeUnary?.(method.path);
        if (failure?.applied === false) {
          call.fail(failure.status, failure.text);
          return;
        }
        const response = answer(method.request.decode(bytes));
        if (failure !== undefined) call.fail(failure.status, failure.text);
        else call.reply(method.response, method.response.create(response));
      });
    };
    unary(range, () => ({ header: this.#header(), count: 0 }));
    unary(put, ({ key, value }) => {
      this.apply({ key: Buffer.from(key).toString(), value: Buffer.from(value).toString() });
      return { header: this.#header() };
    });
    const { status } = etcdserverpb.MaintenanceService.methods;
    unary(status, () => ({ header: this.#header(), leader: 2n }));
    const { memberList } = etcdserverpb.ClusterService.methods;
    unary(memberList, () => ({ header: this.#header(), members: this.#shared.members }));
    const { leaseGrant, leaseRevoke } = etcdserverpb.LeaseService.methods;
    unary(leaseGrant, ({ id, ttl }) => {
      const given = id === 0n ? BigInt(this.leases.size + 1) : id;
      this.leases.set(given, ttl);
      return { header: this.#header(), id: given, ttl };
    });
    unary(leaseRevoke, ({ id }) => {
      this.leases.delete(id);
      return { header: this.#header() };
    });
    unary(health.HealthService.methods.check, () => ({ status: 1 }));
    server.unary(etcdserverpb.AuthService.methods.authenticate.path, (call) => {
      const { response } = etcdserverpb.AuthService.methods.authenticate;
      const count = (this.counts.get(call.path) ?? 0) + 1;
      this.counts.set(call.path, count);
      const refusal = this.tokenRefusals.shift();
      if (refusal === 'silence') return;
      if (refusal !== undefined) {
        call.fail(refusal.status, refusal.text);
        return;
      }
      this.token = `token-${count}`;
      call.reply(response, response.create({ token: this.token }));
    });
    const { snapshot } = etcdserverpb.MaintenanceService.methods;
    server.stream(snapshot.path, (call) => {
      if (this.#isRefused(call)) call.end(STATUS.UNAUTHENTICATED, INVALID_TOKEN);
      else {
        call.write(snapshot.response, snapshot.response.create({ blob: Buffer.from('all') }));
        call.end();
      }
      return { onMessage: () => {}, onEnd: () => {}, onCancel: () => {}, onDrain: () => {} };
    });
    server.stream(etcdserverpb.WatchService.methods.watch.path, (call) => this.#watch(call));
    this.#addKeepAlive(server);
    return server;
  }

  #addKeepAlive(server: Server): void {
    const { leaseKeepAlive } = etcdserverpb.LeaseService.methods;
    server.stream(leaseKeepAlive.path, (call) => {
      this.#keepAlives.add(call);
      const refusal = this.#refusal(call);
      if (refusal !== undefined) call.end(refusal.status, refusal.text);
      return {
        onMessage: (bytes) => {
          if (this.keepsSilent) return;
          const { id } = leaseKeepAlive.request.decode(bytes);
          this.keptAliveAtMs.push(this.#env.clock.monotonicMs());
          const ttl = this.leases.get(id) ?? 0;
          const response = { header: this.#header(), id, ttl };
          call.write(leaseKeepAlive.response, leaseKeepAlive.response.create(response));
        },
        onEnd: () => call.end(),
        onCancel: () => this.#keepAlives.delete(call),
        onDrain: () => {},
      };
    });
  }

  #watch(call: StreamCall) {
    const state = new WatchCall(call);
    this.#calls.add(state);
    const refusal = this.#refusal(call) ?? this.refuseWatches;
    if (refusal !== undefined) {
      call.end(refusal.status, refusal.text);
      this.#calls.delete(state);
    }
    return {
      onMessage: (bytes: Uint8Array) => {
        const { requestUnion } = WatchRequestCodec.decode(Uint8Array.from(bytes));
        if (requestUnion?.case === 'createRequest') this.#create(state, requestUnion.value);
        else if (requestUnion?.case === 'cancelRequest') {
          const { watchId } = requestUnion.value;
          if (state.watches.delete(watchId)) state.send({ watchId, canceled: true });
        } else state.send({ header: this.#header(), watchId: -1n });
      },
      onEnd: () => call.end(),
      onCancel: () => this.#calls.delete(state),
      onDrain: () => {},
    };
  }

  #create(state: WatchCall, request: etcdserverpb.WatchCreateRequest): void {
    const header = this.#header();
    if (this.#isRefused(state.call)) {
      const cancelReason =
        'rpc error: code = Unauthenticated desc = etcdserver: invalid auth token';
      state.send({ header, watchId: -1n, created: true, canceled: true, cancelReason });
      return;
    }
    if (Buffer.from(request.key).toString() === 'forbidden') {
      const cancelReason = 'etcdserver: permission denied';
      state.send({ header, watchId: -1n, created: true, canceled: true, cancelReason });
      return;
    }
    const id = state.nextId++;
    const nextRevision = request.startRevision === 0 ? this.revision + 1 : request.startRevision;
    state.watches.set(id, { id, request, nextRevision });
    state.send({ header, watchId: id, created: true });
    if (nextRevision <= this.compacted) {
      state.watches.delete(id);
      state.send({ header, watchId: id, canceled: true, compactRevision: this.compacted });
      return;
    }
    this.#serve(state);
  }

  #serve(state: WatchCall): void {
    for (const watch of [...state.watches.values()]) {
      while (watch.nextRevision <= this.revision) {
        const revision = watch.nextRevision++;
        const events = this.history[revision]!.filter((event) => matches(watch.request, event));
        for (let at = 0; at < events.length; at += this.fragmentEvents) {
          const end = Math.min(at + this.fragmentEvents, events.length);
          if (this.beforeEvents?.() === 'break') {
            this.#calls.delete(state);
            state.call.end(STATUS.UNAVAILABLE, 'broken by the test');
            return;
          }
          state.send({
            header: this.#header(),
            watchId: watch.id,
            events: events.slice(at, end),
            fragment: end < events.length,
          });
        }
      }
    }
  }
}

export interface FailedUnary {
  readonly status: StatusCode;
  readonly text: string;
  /** Whether the request took effect nevertheless. */
  readonly applied: boolean;
}

function refused(status: StatusCode, text: string): FailedUnary {
  return { status, text, applied: false };
}

function matches(request: etcdserverpb.WatchCreateRequest, event: mvccpb.Event): boolean {
  const key = Buffer.from(event.kv!.key);
  if (request.rangeEnd.length === 0) return key.equals(request.key);
  if (key.compare(request.key) < 0) return false;
  return request.rangeEnd[0] === 0 || key.compare(request.rangeEnd) < 0;
}

/** A world of a machine `client` and servers: `server`, `server2` and so on. */
export class ClientWorld {
  readonly world: SimWorld;
  readonly clientEnv: SimEnv;
  readonly names: readonly string[];
  readonly etcds: readonly SimEtcd[];
  readonly #clients: Client[] = [];

  constructor(seed = 1, servers = 1) {
    this.world = new SimWorld({ seed, autoRun: false });
    this.clientEnv = this.world.machine('client');
    const shared = new SharedState();
    const numbers = Array.from({ length: servers }, (_unused, i) => (i === 0 ? '' : `${i + 1}`));
    this.names = numbers.map((number) => `server${number}`);
    this.etcds = this.names.map((name) => new SimEtcd(this.world.machine(name), shared));
  }

  /** The only server, or the first. */
  get etcd(): SimEtcd {
    return this.etcds[0]!;
  }

  client(options: Partial<ClientOptions> = {}): Client {
    const { clock, timers, entropy, network } = this.clientEnv;
    const runtime: Runtime = {
      clock,
      timers,
      entropy,
      connect: (endpoint, timeoutMs) => network.connect(endpoint, timeoutMs),
    };
    const client = new Client({ endpoints: this.names, runtime, ...options });
    this.#clients.push(client);
    return client;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clientEnv.timers.after(ms, resolve));
  }

  /** Breaks every connection. */
  reset(): void {
    for (const name of this.names) this.world.network.reset('client', name);
  }

  /** Runs the test's body in simulated time, with the server listening. */
  async run(body: () => Promise<void>, options: { readonly listen?: boolean } = {}): Promise<void> {
    try {
      await this.world.scheduler.run(async () => {
        if (options.listen !== false) await Promise.all(this.etcds.map((each) => each.listen()));
        await body();
      });
    } finally {
      for (const client of this.#clients) client.close();
    }
  }
}
