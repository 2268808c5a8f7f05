// The methods of a server, by path.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { STATUS_COUNT } from '../status.ts';
import type { MethodStats, StreamOpener, UnaryHandler } from './server-types.ts';

/** One method: exactly one of the two handlers is set. */
export interface Route {
  readonly stats: MethodStats;
  readonly unary: UnaryHandler | undefined;
  readonly stream: StreamOpener | undefined;
  /** A streaming method whose client sends one request. */
  readonly oneRequest: boolean;
}

const PATH = /^\/([^/]+(?:\/[^/]+)*)\/([^/]+)$/;

export class Routes {
  /** Counters in order of registration. */
  readonly methods: MethodStats[] = [];
  readonly #byPath = new Map<string, Route>();
  readonly #services = new Set<string>();

  add(path: string, unary: UnaryHandler): void {
    this.#add(path, { unary, stream: undefined, oneRequest: false });
  }

  addStream(path: string, stream: StreamOpener, oneRequest: boolean): void {
    this.#add(path, { unary: undefined, stream, oneRequest });
  }

  #add(path: string, handlers: Omit<Route, 'stats'>): void {
    const parts = PATH.exec(path);
    if (parts === null) throw invalid(`${path} is no path of a gRPC method`);
    if (this.#byPath.has(path)) throw invalid(`${path} is registered already`);
    const stats: MethodStats = {
      path,
      unary: handlers.unary !== undefined,
      started: 0,
      messagesReceived: 0,
      messagesSent: 0,
      bytesReceived: 0,
      bytesSent: 0,
      receiveFailures: 0,
      ended: new Float64Array(STATUS_COUNT),
    };
    this.#services.add(parts[1]!);
    this.methods.push(stats);
    this.#byPath.set(path, { stats, ...handlers });
  }

  find(path: string): Route | undefined {
    return this.#byPath.get(path);
  }

  /** Why {@link find} found nothing, in grpc-go's words. */
  unknownText(path: string): string {
    const slash = path.lastIndexOf('/');
    if (!path.startsWith('/') || slash < 1) return `malformed method name: ${JSON.stringify(path)}`;
    const service = path.slice(1, slash);
    if (!this.#services.has(service)) return `unknown service ${service}`;
    return `unknown method ${path.slice(slash + 1)} for service ${service}`;
  }
}

function invalid(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `grpc: ${text}`);
}
