// Members for tests: a transport each, in a simulated world or on real sockets, with a host that
// remembers what it was told.

import { Counter, exponentialBounds, Gauge, Histogram, MetricFamily } from '../base/index.ts';
import type { Env, Listener } from '../env/index.ts';
import type { SimEnv, SimWorld } from '../env/sim/index.ts';
import { raftpb } from '../protocol/index.ts';
import {
  createPeerTransport,
  type PeerHost,
  type PeerLog,
  type PeerMetrics,
  type PeerRequest,
  type PeerResponse,
  type PeerTransport,
  RECEIPTS,
  type Receipt,
  SENDERS,
  type Sender,
} from './index.ts';

export const CLUSTER_ID = 0xcafen;
export const PORT = 2380;

export class TestHost implements PeerHost {
  readonly received: raftpb.Message[] = [];
  readonly unreachable: bigint[] = [];
  readonly removals: string[] = [];
  readonly removed = new Set<bigint>();
  /** Every other member is the leader. */
  readonly senders = new Map<bigint, Sender>();
  /** Databases that were kept, and failures of those that were not. */
  readonly databases: Uint8Array[] = [];
  readonly databaseErrors: string[] = [];
  receipt: Receipt = RECEIPTS.ACCEPTED;
  store: ((message: raftpb.Message, body: AsyncIterable<Uint8Array>) => Promise<void>) | undefined;

  receive(message: raftpb.Message): Receipt {
    if (this.removed.has(message.from)) return RECEIPTS.FROM_REMOVED;
    this.received.push(message);
    return this.receipt;
  }

  isRemoved(id: bigint): boolean {
    return this.removed.has(id);
  }

  senderOf(id: bigint): Sender {
    return this.senders.get(id) ?? SENDERS.LEADER;
  }

  reportUnreachable(id: bigint): void {
    this.unreachable.push(id);
  }

  onRemoved(reason: string): void {
    this.removals.push(reason);
  }

  async storeSnapshot(message: raftpb.Message, body: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.store !== undefined) return await this.store(message, body);
    const pieces: Uint8Array[] = [];
    try {
      for await (const piece of body) pieces.push(piece);
    } catch (error) {
      this.databaseErrors.push(error instanceof Error ? error.message : String(error));
      throw error;
    }
    this.databases.push(Buffer.concat(pieces));
  }

  async handle(request: PeerRequest): Promise<PeerResponse> {
    const body = Buffer.from(`${request.method} ${request.path} ${request.body.length}`);
    return { status: 200, headers: {}, body };
  }
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn';
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class TestLog implements PeerLog {
  readonly debugEnabled = true;
  readonly lines: LogLine[] = [];

  debug(text: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push({ level: 'debug', text, fields });
  }

  info(text: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push({ level: 'info', text, fields });
  }

  warn(text: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push({ level: 'warn', text, fields });
  }

  has(text: string): boolean {
    return this.lines.some((line) => line.text === text);
  }
}

export function testMetrics(): PeerMetrics {
  const counters = (count: number) => new MetricFamily(count, () => new Counter());
  const gauges = (count: number) => new MetricFamily(count, () => new Gauge());
  const times = () => new MetricFamily(1, () => new Histogram(exponentialBounds(0.1, 2, 10)));
  const families = {
    activePeers: gauges(2),
    disconnectedPeers: counters(2),
    sentBytes: counters(1),
    receivedBytes: counters(1),
    sentFailures: counters(1),
    receivedFailures: counters(1),
    roundTripSeconds: times(),
    snapshotSendSuccess: counters(1),
    snapshotSendFailures: counters(1),
    snapshotSendInflight: gauges(1),
    snapshotSendSeconds: times(),
    snapshotReceiveSuccess: counters(1),
    snapshotReceiveFailures: counters(1),
    snapshotReceiveInflight: gauges(1),
    snapshotReceiveSeconds: times(),
  };
  return Object.fromEntries(
    Object.entries(families).map(([name, family]) => [
      name,
      (...labels: string[]) => family.with(...labels),
    ]),
  ) as unknown as PeerMetrics;
}

export interface Member {
  readonly id: bigint;
  readonly url: string;
  readonly host: TestHost;
  readonly log: TestLog;
  readonly metrics: PeerMetrics;
  readonly transport: PeerTransport;
  readonly listener: Listener;
}

export interface MemberOptions {
  readonly id: bigint;
  readonly host: string;
  readonly port?: number;
  readonly clusterId?: bigint;
  readonly ioTimeoutMs?: number;
  readonly testHost?: TestHost;
}

export async function startMember(
  env: Pick<Env, 'clock' | 'timers' | 'network'>,
  options: MemberOptions,
): Promise<Member> {
  const host = options.testHost ?? new TestHost();
  const log = new TestLog();
  const metrics = testMetrics();
  let url = '';
  const transport = createPeerTransport({
    env,
    memberId: options.id,
    clusterId: options.clusterId ?? CLUSTER_ID,
    ownUrls: () => [url],
    host,
    metrics,
    log,
    electionMs: 1000,
    ...(options.ioTimeoutMs === undefined ? {} : { ioTimeoutMs: options.ioTimeoutMs }),
  });
  const listener = await env.network.listen(
    { host: options.host, port: options.port ?? PORT },
    (stream) => transport.accept(stream),
  );
  url = `http://${options.host}:${listener.address.port}`;
  return { id: options.id, url, host, log, metrics, transport, listener };
}

/** Members `m1`, `m2`, … of one world, with ids 1, 2, …, all peers of each other. */
export async function startMembers(
  world: SimWorld,
  count: number,
): Promise<{ envs: SimEnv[]; members: Member[] }> {
  const envs: SimEnv[] = [];
  const members: Member[] = [];
  for (let i = 1; i <= count; i++) {
    const env = world.machine(`m${i}`);
    envs.push(env);
    members.push(await startMember(env, { id: BigInt(i), host: `m${i}` }));
  }
  connectAll(members);
  return { envs, members };
}

export function connectAll(members: readonly Member[]): void {
  for (const a of members) {
    for (const b of members) if (a !== b) a.transport.addPeer(b.id, [b.url]);
  }
}

export async function stopAll(members: readonly Member[]): Promise<void> {
  await Promise.all(
    members.map(async (member) => {
      await member.listener.close();
      await member.transport.stop();
    }),
  );
}

export function message(init: raftpb.MessageInit): raftpb.Message {
  return raftpb.MessageCodec.create(init);
}

export function entries(first: number, count: number, term: number, size = 10): raftpb.Entry[] {
  return Array.from({ length: count }, (_, i) =>
    raftpb.EntryCodec.create({
      term,
      index: first + i,
      data: new Uint8Array(size).fill((first + i) % 251),
    }),
  );
}

export const { MessageType } = raftpb;
