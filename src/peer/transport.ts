// All peers of one member.

import { invariant } from '../base/index.ts';
import type { ByteStream } from '../env/index.ts';
import type { raftpb } from '../protocol/index.ts';
import { isPeerUrl } from './address.ts';
import { ConnectionPool } from './connection-pool.ts';
import { PeerContext } from './context.ts';
import { ServerConnection } from './http1/index.ts';
import {
  DIAL_TIMEOUT_BASE_MS,
  IO_TIMEOUT_MS_DEFAULT,
  REMOTES_MAX,
  SERVER_CONNECTIONS_MAX,
} from './limits.ts';
import { Peer, Remote } from './peer.ts';
import { Routes } from './routes.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import type { OutgoingSnapshot, PeerTransport, PeerTransportOptions } from './types.ts';

/** The links of a member that has no peers yet. */
export function createPeerTransport(options: PeerTransportOptions): PeerTransport {
  return new Transport(options);
}

class Transport implements PeerTransport {
  readonly #context: PeerContext;
  readonly #pool: ConnectionPool;
  readonly #routes: Routes;
  readonly #peers = new Map<bigint, Peer>();
  readonly #remotes = new Map<bigint, Remote>();
  readonly #connections = new Set<ServerConnection>();

  constructor(options: PeerTransportOptions) {
    this.#context = new PeerContext({
      ...options,
      ioTimeoutMs: options.ioTimeoutMs ?? IO_TIMEOUT_MS_DEFAULT,
      dialTimeoutMs: DIAL_TIMEOUT_BASE_MS + options.electionMs,
    });
    this.#pool = new ConnectionPool(this.#context);
    this.#routes = new Routes({
      context: this.#context,
      snapshots: new SnapshotReceiver(this.#context),
      peer: (id) => this.#peers.get(id),
      addRemote: (id, urls) => this.#maybeAddRemote(id, urls),
    });
  }

  addPeer(id: bigint, urls: readonly string[]): void {
    if (this.#context.stopping || this.#peers.has(id)) return;
    invariant(urls.length > 0, 'a peer has at least one URL');
    this.#dropRemote(id);
    this.#peers.set(id, new Peer(this.#context, this.#pool, id, urls));
    this.#context.log.info('added remote peer', this.#fields(id, { 'remote-peer-urls': urls }));
  }

  addRemote(id: bigint, urls: readonly string[]): void {
    if (this.#context.stopping || this.#peers.has(id) || this.#remotes.has(id)) return;
    invariant(urls.length > 0, 'a remote has at least one URL');
    this.#remotes.set(id, new Remote(this.#context, this.#pool, id, urls));
    this.#context.log.info('added new remote peer', this.#fields(id, { 'remote-peer-urls': urls }));
  }

  /** Remembers the announced address of a sender that is not a member yet. */
  #maybeAddRemote(id: bigint, urls: readonly string[]): void {
    const { host, log, memberId } = this.#context;
    if (this.#peers.has(id) || this.#remotes.has(id)) return;
    if (id === 0n || id === memberId || host.isRemoved(id)) return;
    if (!urls.every(isPeerUrl)) {
      const fields = this.#fields(id, { 'remote-peer-urls': urls });
      log.warn('ignored the peer URLs of a request', fields);
      return;
    }
    const [oldest] = this.#remotes.keys();
    if (oldest !== undefined && this.#remotes.size >= REMOTES_MAX) this.#dropRemote(oldest);
    this.addRemote(id, urls);
  }

  updatePeer(id: bigint, urls: readonly string[]): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    peer.update(urls);
    this.#context.log.info('updated remote peer', this.#fields(id, { 'remote-peer-urls': urls }));
  }

  removePeer(id: bigint): void {
    const { local, log } = this.#context;
    const fields = { 'local-member-id': local, 'removed-remote-peer-id': id.toString(16) };
    this.#dropRemote(id);
    const peer = this.#peers.get(id);
    if (peer === undefined) {
      log.warn('skipped removing already removed peer', fields);
      return;
    }
    this.#peers.delete(id);
    peer.stop();
    log.info('removed remote peer', fields);
  }

  removeAllPeers(): void {
    for (const id of [...this.#peers.keys()]) this.removePeer(id);
    for (const id of [...this.#remotes.keys()]) this.#dropRemote(id);
    this.#pool.clear();
  }

  send(message: raftpb.Message): void {
    const peer = this.#peers.get(message.to);
    if (peer !== undefined) {
      peer.send(message);
      return;
    }
    const remote = this.#remotes.get(message.to);
    if (remote !== undefined) {
      remote.send(message);
      return;
    }
    const { log } = this.#context;
    if (!log.debugEnabled || message.to === 0n) return;
    log.debug('ignored message send request; unknown remote peer target', {
      type: message.type,
      'unknown-target-peer-id': message.to.toString(16),
    });
  }

  async sendSnapshot(message: raftpb.Message, snapshot: OutgoingSnapshot): Promise<boolean> {
    const peer = this.#peers.get(message.to);
    if (peer !== undefined) return await peer.sendSnapshot(message, snapshot);
    snapshot.close();
    return false;
  }

  activeSince(id: bigint): number | undefined {
    return this.#peers.get(id)?.status.activeSinceMs;
  }

  accept(stream: ByteStream): void {
    const context = this.#context;
    if (this.#connections.size >= SERVER_CONNECTIONS_MAX) this.#closeOldestIdle();
    if (context.stopping || this.#connections.size >= SERVER_CONNECTIONS_MAX) {
      const fields = { 'remote-address': stream.remoteAddress };
      if (!context.stopping) context.log.warn('refused a connection: too many are open', fields);
      stream.handler = REFUSED;
      stream.destroy();
      return;
    }
    context.begin();
    const connection = new ServerConnection(stream, {
      env: context.env,
      ioTimeoutMs: context.ioTimeoutMs,
      onExchange: (exchange) => this.#routes.serve(exchange),
      onClosed: () => {
        this.#connections.delete(connection);
        context.end();
      },
    });
    this.#connections.add(connection);
  }

  /** Members send a request right after they connect: connections without one are closed first. */
  #closeOldestIdle(): void {
    for (const connection of this.#connections) {
      if (!connection.isIdle) continue;
      this.#connections.delete(connection);
      connection.destroy();
      return;
    }
  }

  async stop(): Promise<void> {
    this.#context.stopping = true;
    this.removeAllPeers();
    for (const connection of [...this.#connections]) connection.destroy();
    await this.#context.stop();
  }

  #dropRemote(id: bigint): void {
    this.#remotes.get(id)?.stop();
    this.#remotes.delete(id);
  }

  #fields(id: bigint, more: Record<string, unknown>): Record<string, unknown> {
    return {
      'local-member-id': this.#context.local,
      'remote-peer-id': id.toString(16),
      ...more,
    };
  }
}

const REFUSED = { onData: () => {}, onDrain: () => {}, onEnd: () => {}, onClose: () => {} };
