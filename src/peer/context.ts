// Shared by all parts of one transport.

import { ERROR_CODES, InvariantError, TetcdError } from '../base/index.ts';
import { ownHeaders } from './compatibility.ts';
import type { ClientConnection } from './http1/index.ts';
import { dial, type PeerEnv } from './peer-request.ts';
import type { PeerHost, PeerLog, PeerMetrics } from './types.ts';

export class PeerContext {
  readonly env: PeerEnv;
  readonly memberId: bigint;
  /** Ids in lower-case hexadecimal, as in headers, logs and metrics. */
  readonly local: string;
  readonly cluster: string;
  readonly ownUrls: () => readonly string[];
  readonly host: PeerHost;
  readonly metrics: PeerMetrics;
  readonly log: PeerLog;
  readonly ioTimeoutMs: number;
  readonly dialTimeoutMs: number;
  /** No new work begins once this is set. */
  stopping = false;
  readonly #connections = new Set<ClientConnection>();
  #pending = 0;
  #onIdle: (() => void)[] = [];

  constructor(fields: {
    readonly env: PeerEnv;
    readonly memberId: bigint;
    readonly clusterId: bigint;
    readonly ownUrls: () => readonly string[];
    readonly host: PeerHost;
    readonly metrics: PeerMetrics;
    readonly log: PeerLog;
    readonly ioTimeoutMs: number;
    readonly dialTimeoutMs: number;
  }) {
    this.env = fields.env;
    this.memberId = fields.memberId;
    this.local = fields.memberId.toString(16);
    this.cluster = fields.clusterId.toString(16);
    this.ownUrls = fields.ownUrls;
    this.host = fields.host;
    this.metrics = fields.metrics;
    this.log = fields.log;
    this.ioTimeoutMs = fields.ioTimeoutMs;
    this.dialTimeoutMs = fields.dialTimeoutMs;
  }

  nowMs(): number {
    return this.env.clock.monotonicMs();
  }

  /** Headers that identify this member, for every request that concerns raft. */
  headers(): Record<string, string> {
    return ownHeaders(this.local, this.cluster, this.ownUrls());
  }

  /** A connection that {@link stop} closes. CLOSED once the transport stops. */
  async dial(url: string): Promise<ClientConnection> {
    this.begin();
    try {
      const connection = await dial(this.env, url, this.dialTimeoutMs);
      this.begin();
      this.#connections.add(connection);
      connection.onClosed = () => {
        this.#connections.delete(connection);
        this.end();
      };
      if (this.stopping) {
        connection.destroy();
        throw new TetcdError(ERROR_CODES.CLOSED, 'the transport is stopped');
      }
      return connection;
    } finally {
      this.end();
    }
  }

  // --- what `stop` waits for ----------------------------------------------------------------------

  begin(): void {
    this.#pending++;
  }

  end(): void {
    this.#pending--;
    if (this.#pending > 0) return;
    const waiting = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiting) resolve();
  }

  /** Closes all connections that were dialled; resolves when nothing is pending. */
  async stop(): Promise<void> {
    this.stopping = true;
    for (const connection of [...this.#connections]) connection.abort();
    while (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle.push(resolve);
      });
    }
  }
}

/** Text of a failure. An InvariantError is thrown on: the member stops. */
export function failureText(error: unknown): string {
  if (error instanceof InvariantError) throw error;
  return error instanceof Error ? error.message : String(error);
}
