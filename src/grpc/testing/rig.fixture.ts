// Real clock and timers, and a server that has one method of each kind, for tests over real sockets.

import type { Clock, Entropy, Timers } from '../../env/index.ts';
import { listen, type PortListener } from '../../net/index.ts';
import { BYTES_ENCODER } from '../message-encoder.ts';
import { createServer } from '../server/server.ts';
import type { Server, ServerOptions, StreamCall } from '../server/server-types.ts';
import { STATUS } from '../status.ts';

export const clock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

export const timers: Timers = {
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  atEndOfTurn: (callback) => {
    setImmediate(callback);
  },
  nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
};

export const entropy: Entropy = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

export interface Rig {
  readonly server: Server;
  readonly listener: PortListener;
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly target: string;
  /** Unary calls to /test.Echo/Hang, which are never answered by themselves. */
  readonly hanging: Array<{ cancelled: boolean; deadlineMs: number }>;
  close(): Promise<void>;
}

export interface RigOptions {
  readonly server?: Partial<ServerOptions>;
  readonly port?: number;
}

/** A listening server with the methods of {@link addMethods}. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const server = createServer({ timers, clock, ...options.server });
  const hanging = addMethods(server);
  const listener = await listen({
    address: { host: '127.0.0.1', port: options.port ?? 0 },
    http2: server,
  });
  const { port } = listener.address;
  return {
    server,
    listener,
    port,
    target: `127.0.0.1:${port}`,
    hanging,
    close: async () => {
      server.close();
      await listener.close();
    },
  };
}

/**
 * Registers /test.Echo/{Unary, Later, Fail, Throw, Metadata, Hang} and the streams
 * /test.Echo/{Chat, Collect, Count}.
 */
export function addMethods(server: Server): Rig['hanging'] {
  const hanging: Rig['hanging'] = [];
  server.unary('/test.Echo/Unary', (call, request) => call.reply(BYTES_ENCODER, request));
  server.unary('/test.Echo/Later', (call, request) => {
    const copy = Uint8Array.from(request);
    setImmediate(() => call.reply(BYTES_ENCODER, copy));
  });
  server.unary('/test.Echo/Fail', (call, request) => {
    call.trailers = { 'x-why': 'because' };
    call.fail(STATUS.FAILED_PRECONDITION, new TextDecoder().decode(request));
  });
  server.unary('/test.Echo/Throw', () => {
    throw new Error('thrown by a handler');
  });
  server.unary('/test.Echo/Metadata', (call) => {
    const bytes = call.metadata.getBytes('x-bytes-bin') ?? new Uint8Array(0);
    call.responseMetadata = { 'x-seen': call.metadata.get('x-text') ?? '', 'x-bytes-bin': bytes };
    call.trailers = { 'x-count': String(call.metadata.getAll('x-many').length) };
    call.reply(BYTES_ENCODER, bytes);
  });
  server.unary('/test.Echo/Hang', (call) => {
    const state = { cancelled: false, deadlineMs: call.deadlineMs };
    hanging.push(state);
    call.onCancel = () => {
      state.cancelled = true;
    };
  });
  server.stream('/test.Echo/Chat', (call) => ({
    onMessage: (message) => {
      if (!call.writeBytes(message)) call.pause();
    },
    onEnd: () => call.end(),
    onCancel: () => {},
    onDrain: () => call.resume(),
  }));
  server.stream('/test.Echo/Collect', (call) => {
    let total = 0;
    return {
      onMessage: (message) => {
        total += message.length;
      },
      onEnd: () => {
        call.writeBytes(new TextEncoder().encode(String(total)));
        call.end();
      },
      onCancel: () => {},
      onDrain: () => {},
    };
  });
  server.stream('/test.Echo/Count', countTo);
  return hanging;
}

/** Request `count size`: answers `count` messages of `size` bytes, as fast as it is told to. */
function countTo(call: StreamCall) {
  let left = 0;
  let body = new Uint8Array(0);
  const produce = () => {
    while (left > 0) {
      left--;
      if (!call.writeBytes(body)) return;
    }
    call.end();
  };
  return {
    onMessage: (message: Uint8Array) => {
      const [count, size] = new TextDecoder().decode(message).split(' ').map(Number);
      left = count!;
      body = new Uint8Array(size!).fill(7);
      produce();
    },
    onEnd: () => {},
    onCancel: () => {
      left = 0;
    },
    onDrain: produce,
  };
}
