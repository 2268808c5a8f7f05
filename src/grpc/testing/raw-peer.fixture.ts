// A hand-driven peer for protocol tests: it writes frames byte by byte, well-formed or not, and reads
// what comes back. No socket, and time passes only when told to.

import type { ByteStream, ByteStreamHandler, Clock, Timers } from '../../env/index.ts';
import { HpackDecoder } from '../hpack/index.ts';
import { FLAG, FRAME, HTTP2_ERROR, http2ErrorName, PREFACE } from '../http2/protocol.ts';
import { createServer } from '../server/server.ts';
import type { AcceptOptions, Server, ServerOptions } from '../server/server-types.ts';

/** Time and turns by hand. */
export class ManualTime implements Clock, Timers {
  nowMs = 1_000_000;
  #timers: Array<{ atMs: number; callback: () => void; cancelled: boolean }> = [];
  #turn: Array<() => void> = [];

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void) {
    const timer = { atMs: this.nowMs + delayMs, callback, cancelled: false };
    this.#timers.push(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
      },
    };
  }

  atEndOfTurn(callback: () => void): void {
    this.#turn.push(callback);
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#turn.push(resolve));
  }

  /** Ends turns until nothing asks for another. */
  settle(): void {
    for (let turns = 0; this.#turn.length > 0; turns++) {
      if (turns > 10_000) throw new Error('the turns do not end');
      for (const callback of this.#turn.splice(0)) callback();
    }
  }

  /** Lets time pass, running timers in order. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      this.settle();
      const due = this.#timers
        .filter((timer) => !timer.cancelled && timer.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due && !timer.cancelled);
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.callback();
    }
    this.nowMs = untilMs;
    this.settle();
  }
}

const nobody: ByteStreamHandler = {
  onData: () => {},
  onDrain: () => {},
  onEnd: () => {},
  onClose: () => {},
};

/** The far end of the connection under test: keeps what is written to it. */
export class FakeStream implements ByteStream {
  handler: ByteStreamHandler = nobody;
  readonly remoteAddress = '192.0.2.1:4711';
  /** Not yet read by the peer. */
  written: Uint8Array[] = [];
  writes = 0;
  paused = false;
  ended = false;
  destroyed = false;
  /** What the "operating system" does not take; then `write` returns false from `highWater` on. */
  blocked = false;
  highWater = 64 * 1024;
  bufferedBytes = 0;

  write(bytes: Uint8Array): boolean {
    this.writes++;
    // A copy: the connection must not touch what it has written, and tests compare.
    this.written.push(Uint8Array.from(bytes));
    if (!this.blocked) return true;
    this.bufferedBytes += bytes.length;
    return this.bufferedBytes < this.highWater;
  }

  writeAll(pieces: readonly Uint8Array[]): boolean {
    let hasRoom = true;
    for (const piece of pieces) hasRoom = this.write(piece);
    return hasRoom;
  }

  unblock(): void {
    this.blocked = false;
    this.bufferedBytes = 0;
    this.handler.onDrain();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  destroy(error?: Error): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.handler.onClose(error);
  }
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Uint8Array;
  /** Everything worth knowing about it. */
  readonly text: string;
}

export function frame(
  type: number,
  flags: number,
  id: number,
  payload: Uint8Array | readonly number[] = [],
): Uint8Array {
  const { length } = payload;
  const bytes = new Uint8Array(9 + length);
  bytes.set([length >> 16, length >> 8, length, type, flags]);
  bytes.set(uint32(id), 5);
  bytes.set(payload, 9);
  return bytes;
}

export function uint32(value: number): number[] {
  return [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

export function join(...parts: ReadonlyArray<Uint8Array | readonly number[]>): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A header block of literals without indexing and without Huffman coding. */
export function block(fields: ReadonlyArray<readonly [string, string]>): Uint8Array {
  const bytes: number[] = [];
  const string = (text: string) => {
    if (text.length < 127) bytes.push(text.length);
    else {
      bytes.push(127);
      let rest = text.length - 127;
      for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
      bytes.push(rest);
    }
    for (const char of text) bytes.push(char.charCodeAt(0));
  };
  for (const [name, value] of fields) {
    bytes.push(0);
    string(name);
    string(value);
  }
  return Uint8Array.from(bytes);
}

export const REQUEST_FIELDS: ReadonlyArray<readonly [string, string]> = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/test.Echo/Unary'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

/** Request fields with some replaced (by name) or added. */
export function request(
  ...changes: ReadonlyArray<readonly [string, string]>
): ReadonlyArray<readonly [string, string]> {
  const replaced = new Map(changes);
  const kept = REQUEST_FIELDS.map(([name, value]) => [name, replaced.get(name) ?? value] as const);
  const added = changes.filter(([name]) => !REQUEST_FIELDS.some(([known]) => known === name));
  return [...kept, ...added];
}

export const FLAGS_ALL: number = FLAG.END_HEADERS | FLAG.END_STREAM;

export function headers(
  id: number,
  fields: ReadonlyArray<readonly [string, string]> = REQUEST_FIELDS,
  flags: number = FLAG.END_HEADERS,
): Uint8Array {
  return frame(FRAME.HEADERS, flags, id, block(fields));
}

/** A gRPC message with its prefix. */
export function message(body: Uint8Array | readonly number[]): Uint8Array {
  return join([0], uint32(body.length), body);
}

export function data(
  id: number,
  payload: Uint8Array | readonly number[],
  flags: number = FLAG.END_STREAM,
): Uint8Array {
  return frame(FRAME.DATA, flags, id, payload);
}

export const SETTINGS: Uint8Array = frame(FRAME.SETTINGS, 0, 0);
export const PREFACE_BYTES: Uint8Array = Uint8Array.from(PREFACE, (char) => char.charCodeAt(0));

export function settings(...pairs: ReadonlyArray<readonly [number, number]>): Uint8Array {
  const payload = pairs.flatMap(([id, value]) => [id >> 8, id & 255, ...uint32(value)]);
  return frame(FRAME.SETTINGS, 0, 0, payload);
}

export function windowUpdate(id: number, increment: number): Uint8Array {
  return frame(FRAME.WINDOW_UPDATE, 0, id, uint32(increment));
}

export function reset(id: number, code: number): Uint8Array {
  return frame(FRAME.RST_STREAM, 0, id, uint32(code));
}

/** A client of our server, or (with `stream` from elsewhere) the server of our client. */
export class RawPeer {
  readonly time: ManualTime;
  readonly stream: FakeStream;
  readonly decoder = new HpackDecoder(4096, 1 << 20);

  constructor(time: ManualTime, stream: FakeStream) {
    this.time = time;
    this.stream = stream;
  }

  /** Delivers bytes and ends the turn. */
  send(...parts: readonly Uint8Array[]): this {
    this.stream.handler.onData(join(...parts));
    this.time.settle();
    return this;
  }

  /** Delivers bytes one by one, without ending the turn in between. */
  sendByteByByte(bytes: Uint8Array): this {
    for (const byte of bytes) this.stream.handler.onData(Uint8Array.of(byte));
    this.time.settle();
    return this;
  }

  /** Every frame written since the last call, in order. */
  frames(): Frame[] {
    const all = join(...this.stream.written);
    this.stream.written = [];
    const found: Frame[] = [];
    let at = 0;
    while (at < all.length) {
      const length = (all[at]! << 16) | (all[at + 1]! << 8) | all[at + 2]!;
      if (all.length - at < 9 + length) throw new Error('a frame was cut');
      const id = new DataView(all.buffer).getUint32(at + 5) & 0x7fffffff;
      const payload = all.slice(at + 9, at + 9 + length);
      const one = { type: all[at + 3]!, flags: all[at + 4]!, id, payload };
      // Each is described at once, because header blocks must be decoded in order.
      found.push({ ...one, text: this.#describe(one) });
      at += 9 + length;
    }
    return found;
  }

  describe(): string[] {
    return this.frames().map((one) => one.text);
  }

  #describe({ type, flags, id, payload }: Omit<Frame, 'text'>): string {
    const code = (at: number) => http2ErrorName(new DataView(payload.buffer).getUint32(at));
    const end = (flags & FLAG.END_STREAM) !== 0 ? ' end' : '';
    switch (type) {
      case FRAME.GOAWAY:
        return `GOAWAY ${code(4)}`;
      case FRAME.RST_STREAM:
        return `RST_STREAM ${id} ${code(0)}`;
      case FRAME.HEADERS: {
        this.decoder.decode(payload, 0, payload.length);
        const fields = this.decoder.fields.map((field) => `${field.name}=${field.value}`);
        return `HEADERS ${id} ${fields.join(' ')}${end}`;
      }
      case FRAME.DATA:
        return `DATA ${id} ${payload.length}${end}`;
      case FRAME.SETTINGS:
        return flags & FLAG.ACK ? 'SETTINGS ack' : 'SETTINGS';
      case FRAME.PING:
        return flags & FLAG.ACK ? 'PING ack' : 'PING';
      case FRAME.WINDOW_UPDATE:
        return `WINDOW_UPDATE ${id} ${new DataView(payload.buffer).getUint32(0)}`;
      default:
        return `frame ${type}`;
    }
  }
}

export interface RawServer extends RawPeer {
  readonly server: Server;
  readonly errors: Error[];
}

/** A server with one connection, the handshake done. `add` registers methods. */
export function rawServer(
  add: (server: Server) => void,
  options: Partial<ServerOptions> & { readonly accept?: AcceptOptions; handshake?: boolean } = {},
): RawServer {
  const time = new ManualTime();
  const errors: Error[] = [];
  const server = createServer({
    timers: time,
    clock: time,
    onConnectionError: (_peer, error) => errors.push(error),
    ...options,
  });
  add(server);
  const stream = new FakeStream();
  server.accept(stream, options.accept);
  const peer = new RawPeer(time, stream);
  if (options.handshake !== false) {
    peer.send(PREFACE_BYTES, SETTINGS, frame(FRAME.SETTINGS, FLAG.ACK, 0));
    peer.frames();
  }
  return Object.assign(peer, { server, errors });
}

export { FLAG, FRAME, HTTP2_ERROR };
