// The connection to one endpoint: made when needed, made again after a loss, with exponential backoff
// while connecting fails.
//
//     idle -> connecting -> ready -> idle        (lost, or drained by the server)
//       ^         '-> backoff -'                 (could not connect)

import { fail } from '../../base/index.ts';
import type { ByteStream, Timer } from '../../env/index.ts';
import type { ChannelCore } from './channel.ts';
import { ClientConnection, type ConnectionWatcher } from './client-connection.ts';
import type { Endpoint, EndpointState } from './client-types.ts';

export class EndpointLink implements ConnectionWatcher {
  readonly endpoint: Endpoint;
  state: EndpointState = 'idle';
  /** The connection that takes new calls. */
  connection: ClientConnection | undefined = undefined;
  /** Every connection that is open, those that drain included. */
  readonly connections = new Set<ClientConnection>();
  /** Why the last attempt to connect failed; undefined if it did not. */
  lastError: string | undefined = undefined;
  readonly #channel: ChannelCore;
  #failures = 0;
  #timer: Timer | undefined = undefined;

  constructor(channel: ChannelCore, endpoint: Endpoint) {
    this.#channel = channel;
    this.endpoint = endpoint;
  }

  /** Begins to connect unless connected or connecting. */
  connect(): void {
    if (this.state !== 'idle') return;
    this.state = 'connecting';
    const { connectTimeoutMs } = this.#channel.limits;
    this.#channel.connectTo(this.endpoint, connectTimeoutMs).then(
      (stream) => this.#connected(stream),
      (error: unknown) => this.#failed(error instanceof Error ? error.message : String(error)),
    );
  }

  #connected(stream: ByteStream): void {
    if (this.state !== 'connecting') {
      stream.destroy();
      return;
    }
    const connection = new ClientConnection(stream, this.endpoint, this.#channel, this);
    this.connections.add(connection);
    this.connection = connection;
    this.#channel.watch();
  }

  onReady(connection: ClientConnection): void {
    if (this.connection !== connection || this.state !== 'connecting') return;
    this.#failures = 0;
    this.lastError = undefined;
    this.state = 'ready';
    this.#channel.placeWaiting();
  }

  onRoom(connection: ClientConnection): void {
    if (this.connection === connection && this.state === 'ready') this.#channel.placeWaiting();
  }

  onDraining(connection: ClientConnection): void {
    if (this.connection !== connection || this.state === 'closed') return;
    this.connection = undefined;
    this.state = 'idle';
    this.#channel.linkLost();
  }

  onGone(connection: ClientConnection, error: Error | undefined): void {
    this.connections.delete(connection);
    if (this.connection !== connection) return;
    this.connection = undefined;
    // Lost before SETTINGS arrived: counts as a failure to connect.
    if (this.state === 'connecting') {
      const { path, host, port } = this.endpoint;
      const where = path ?? `${host}:${port}`;
      this.#failed(error?.message ?? `${where} closed the connection before its preface`);
    } else if (this.state === 'ready') {
      this.state = 'idle';
      this.#channel.linkLost();
    }
  }

  #failed(reason: string): void {
    if (this.state === 'closed') return;
    if (this.state !== 'connecting') fail(`connecting failed in state ${this.state}`);
    this.state = 'backoff';
    this.lastError = reason;
    this.#timer = this.#channel.after(this.#backoffMs(), () => {
      this.state = 'idle';
      this.#channel.linkIdle();
    });
    this.#failures++;
    this.#channel.linkFailed();
  }

  #backoffMs(): number {
    const { backoffMsMin, backoffMsMax, backoffFactor, backoffJitter } = this.#channel.limits;
    const base = Math.min(backoffMsMin * backoffFactor ** this.#failures, backoffMsMax);
    return base * (1 + backoffJitter * (2 * this.#channel.randomFraction() - 1));
  }

  tick(nowMs: number): void {
    for (const connection of this.connections) connection.tick(nowMs);
  }

  /** No new calls on this link; running ones go on to their end. */
  drain(): void {
    this.#retire();
    for (const connection of [...this.connections]) connection.drain();
  }

  close(): void {
    this.#retire();
    for (const connection of [...this.connections]) connection.close();
  }

  #retire(): void {
    this.state = 'closed';
    this.connection = undefined;
    this.#timer?.cancel();
  }
}
