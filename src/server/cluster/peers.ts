// The peers (other members): their links, how long each has been connected, and the peer ports of this
// member.

import type { ByteStream, Env } from '../../env/index.ts';
import { type Cluster, formatId, type Member } from '../../membership/index.ts';
import { createPeerTransport, type PeerHost, type PeerTransport } from '../../peer/index.ts';
import { raftpb } from '../../protocol/index.ts';
import type { ListenUrl } from '../config/index.ts';
import type { PeerLinks } from '../consensus/peer-links.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import { peerMetricsOf } from '../telemetry/peer-metrics.ts';
import { HeartbeatTimes } from './heartbeat-times.ts';

interface PeersOptions {
  readonly env: Env;
  readonly log: Logger;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly electionMs: number;
  readonly heartbeatMs: number;
  readonly ioTimeoutMs: number;
  readonly host: PeerHost;
  /** The peer ports of this member. */
  readonly ports: {
    serve(urls: readonly ListenUrl[], accept: (stream: ByteStream) => void, log: Logger): void;
    close(): Promise<void>;
  };
  /** Sends a snapshot, with its database. */
  readonly transfer: { send(message: raftpb.Message): void };
  readonly metrics: ServerMetrics;
  /** This member's advertised peer URLs. */
  readonly ownUrls: () => readonly string[];
}

export class Peers implements PeerLinks {
  readonly transport: PeerTransport;
  readonly #options: PeersOptions;
  /** URLs of the members that the transport knows. */
  readonly #known = new Map<bigint, string>();
  readonly #heartbeats: HeartbeatTimes;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#heartbeats = new HeartbeatTimes(options.heartbeatMs);
    this.transport = createPeerTransport({
      env: options.env,
      memberId: options.memberId,
      clusterId: options.clusterId,
      ownUrls: options.ownUrls,
      host: options.host,
      metrics: peerMetricsOf(options.metrics.network),
      log: options.log.child('peer'),
      electionMs: options.electionMs,
      ioTimeoutMs: options.ioTimeoutMs,
    });
  }

  /** Sends a raft message, encoded before this returns; dropped if it cannot be sent. */
  send(message: raftpb.Message): void {
    const { MsgHeartbeat, MsgSnap } = raftpb.MessageType;
    if (message.type === MsgHeartbeat) this.#noteHeartbeat(message);
    if (message.type === MsgSnap) this.#options.transfer.send(message);
    else this.transport.send(message);
  }

  /** Serves the other members. */
  listen(urls: readonly ListenUrl[]): void {
    const { ports, log } = this.#options;
    ports.serve(urls, (stream) => this.transport.accept(stream), log);
  }

  /** Adds peers for members that the transport does not know, and updates their URLs. */
  follow(members: readonly Member[]): void {
    const { memberId } = this.#options;
    for (const { id, peerURLs } of members) {
      if (id === memberId) continue;
      const urls = peerURLs.join(',');
      const before = this.#known.get(id);
      if (before === urls) continue;
      const isLinked = this.#guarded(id, () => {
        if (before === undefined) this.transport.addPeer(id, peerURLs);
        else this.transport.updatePeer(id, peerURLs);
      });
      if (!isLinked) continue;
      this.#known.set(id, urls);
    }
  }

  /** Disconnects members that were removed. */
  forgetRemoved(cluster: Cluster): void {
    for (const id of this.#known.keys()) {
      if (!cluster.isRemoved(id)) continue;
      this.#known.delete(id);
      this.transport.removePeer(id);
      this.#heartbeats.forget(id);
    }
  }

  /** Whether the link to another member has been up since before then, on the monotonic clock. */
  isConnectedSince(id: bigint, sinceMs: number): boolean {
    const active = this.transport.activeSince(id);
    return active !== undefined && active < sinceMs;
  }

  /** Number of members connected since then, this one included. */
  connectedCount(members: readonly Member[], sinceMs: number): number {
    const { memberId } = this.#options;
    return members.filter(({ id }) => id === memberId || this.isConnectedSince(id, sinceMs)).length;
  }

  /** Number of connected peers. */
  get activeCount(): number {
    return [...this.#known.keys()].filter((id) => this.transport.activeSince(id) !== undefined)
      .length;
  }

  /** The member whose link has been up longest; undefined if none is connected. */
  longestConnected(members: readonly Member[]): bigint | undefined {
    let longest: { readonly id: bigint; readonly sinceMs: number } | undefined;
    for (const { id } of members) {
      const sinceMs = this.transport.activeSince(id);
      if (sinceMs === undefined) continue;
      if (longest === undefined || sinceMs < longest.sinceMs) longest = { id, sinceMs };
    }
    return longest?.id;
  }

  async stop(): Promise<void> {
    await this.#options.ports.close();
    await this.transport.stop();
  }

  #guarded(id: bigint, change: () => void): boolean {
    try {
      change();
      return true;
    } catch (error) {
      // The cluster may have agreed on URLs that this release cannot use (or none at all).
      this.#options.log.error('cannot link up with a member', {
        'remote-peer-id': formatId(id),
        error: asError(error),
      });
      return false;
    }
  }

  #noteHeartbeat({ to, term }: raftpb.Message): void {
    const { env, log, metrics, heartbeatMs } = this.#options;
    const lateMs = this.#heartbeats.note(to, term, env.clock.monotonicMs());
    if (lateMs === 0) return;
    metrics.server.heartbeatSendFailures.value++;
    log.warn('leader sent a heartbeat late; its process or disk is overloaded', {
      to: formatId(to),
      'heartbeat-interval-ms': heartbeatMs,
      'expected-ms': 2 * heartbeatMs,
      'exceeded-ms': Math.round(lateMs),
    });
  }
}
