// Idle connections for the next small request to the same member.
//
// The other side closes connections that are idle for its read deadline, so an idle one is dropped a
// second before that. If one breaks nevertheless before any response, a GET is repeated once. A POST is
// not: it may have arrived, and a proposal that arrives twice is executed twice.

import type { Timer } from '../env/index.ts';
import type { PeerContext } from './context.ts';
import type { ClientConnection } from './http1/index.ts';
import { IDLE_CONNECTIONS_MAX, PROBE_MARGIN_MS, REFUSAL_BYTES_MAX } from './limits.ts';
import { exchange } from './peer-request.ts';
import type { PeerResponse } from './types.ts';

interface PoolRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly timeoutMs: number;
}

interface Idle {
  readonly connection: ClientConnection;
  readonly expiry: Timer;
}

export class ConnectionPool {
  readonly #context: PeerContext;
  readonly #idle: Idle[] = [];
  readonly #busy = new Set<ClientConnection>();
  /** Counts the calls of {@link clear}. */
  #generation = 0;

  constructor(context: PeerContext) {
    this.#context = context;
  }

  /** One exchange with `url`. Rejects as `requestPeer` does. */
  async request(url: string, request: PoolRequest): Promise<PeerResponse> {
    const kept = this.#take(url);
    if (kept !== undefined) {
      const generation = this.#generation;
      try {
        return await this.#exchange(kept, request);
      } catch (error) {
        const isRepeatable = request.method === 'GET' && !kept.answering;
        if (!isRepeatable || generation !== this.#generation) throw error;
      }
    }
    return await this.#exchange(await this.#context.dial(url), request);
  }

  /** Closes idle connections and aborts requests in progress. */
  clear(): void {
    this.#generation++;
    for (const idle of this.#idle) {
      idle.expiry.cancel();
      idle.connection.destroy();
    }
    this.#idle.length = 0;
    for (const connection of [...this.#busy]) connection.abort();
  }

  async #exchange(connection: ClientConnection, request: PoolRequest): Promise<PeerResponse> {
    this.#busy.add(connection);
    try {
      const answer = await exchange(this.#context.env, connection, {
        ...request,
        url: connection.url,
        bodyBytesMax: REFUSAL_BYTES_MAX,
        close: false,
      });
      this.#keep(connection);
      return answer;
    } finally {
      this.#busy.delete(connection);
    }
  }

  #take(url: string): ClientConnection | undefined {
    for (;;) {
      const at = this.#idle.findLastIndex((idle) => idle.connection.url === url);
      if (at < 0) return undefined;
      const [idle] = this.#idle.splice(at, 1);
      idle!.expiry.cancel();
      if (!idle!.connection.closed) return idle!.connection;
    }
  }

  #keep(connection: ClientConnection): void {
    if (connection.closed) return;
    if (this.#context.stopping || this.#idle.length >= IDLE_CONNECTIONS_MAX) {
      connection.destroy();
      return;
    }
    const { env, ioTimeoutMs } = this.#context;
    const keptMs = Math.max(ioTimeoutMs / 2, ioTimeoutMs - PROBE_MARGIN_MS / 2);
    const expiry = env.timers.after(keptMs, () => {
      const at = this.#idle.findIndex((idle) => idle.connection === connection);
      if (at >= 0) this.#idle.splice(at, 1);
      connection.destroy();
    });
    this.#idle.push({ connection, expiry });
  }
}
