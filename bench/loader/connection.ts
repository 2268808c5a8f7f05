// One HTTP/2 connection of the loader, over a socket: gRPC calls of one method, as many at a
// time as the caller likes, at about 2 us each in plaintext. Checks the status of every call.
//
// Requests look like those of a real client: a path, an authority, a user agent and so on that the
// header table holds after the first one, and a timeout that is different each time.

import type { Socket } from 'node:net';
import { HpackReader } from './hpack-reader.ts';
import { openSocket, type Target } from './target.ts';

/** One call under way. The connection calls back within its reading loop; do not keep `bytes`. */
export interface Slot {
  /** Whether `onMessage` is wanted; if not, only the bytes are counted. */
  readonly wantsMessages: boolean;
  onMessage(message: Buffer): void;
  /** Bytes of all messages, their 5-byte prefixes included. The call has ended. */
  onEnd(grpcStatus: number, text: string, bytes: number): void;
}

const FRAME = { DATA: 0, HEADERS: 1, RST: 3, SETTINGS: 4, PING: 6, GOAWAY: 7, WINDOW: 8, MORE: 9 };
const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 0x20 };
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const WINDOW = 1 << 30;
const WINDOW_DEFAULT = 65_535;
const SETTING_WINDOW = 4;
const FRAME_BYTES_MAX = 16_384;
const OUT_BYTES = 1 << 20;
const STREAM_ID_MAX = 0x7fff_fff0;

class Call {
  readonly slot: Slot;
  status = -1;
  text = '';
  bytes = 0;
  unacknowledged = 0;
  /** Of the message being received, if the slot wants messages. */
  parts: Buffer[] = [];
  partBytes = 0;

  constructor(slot: Slot) {
    this.slot = slot;
  }
}

/** A message that the windows do not let through at once. */
class Request {
  readonly message: Buffer;
  readonly slot: Slot;
  /** 0 before its headers are sent. */
  stream = 0;
  /** Bytes of the message that are sent, and that the stream's window still takes. */
  sent = 0;
  window = 0;

  constructor(message: Buffer, slot: Slot) {
    this.message = message;
    this.slot = slot;
  }
}

function literal(prefix: number, name: string | undefined, value: string): Buffer {
  const text = (part: string): Buffer =>
    Buffer.concat([Buffer.from([part.length]), Buffer.from(part, 'latin1')]);
  const parts = [Buffer.from([prefix]), ...(name === undefined ? [] : [text(name)]), text(value)];
  return Buffer.concat(parts);
}

export class LoadConnection {
  /** Calls under way. */
  active = 0;
  /** Bytes of DATA that came. */
  received = 0;
  readonly #socket: Socket;
  readonly #target: Target;
  readonly #path: string;
  /** Headers that the table holds after the first call, the timeout aside. */
  readonly #indexed: number;
  readonly #hpack = new HpackReader();
  readonly #calls = new Map<number, Call>();
  readonly #onFailure: (error: Error) => void;
  #nextStream = 1;
  #out = Buffer.allocUnsafe(OUT_BYTES);
  #outEnd = 0;
  #firstHeaders: Buffer | undefined;
  #timeoutCounter = 0;
  #sendWindow = WINDOW_DEFAULT;
  /** What the server lets a new stream send. */
  #streamWindow = WINDOW_DEFAULT;
  /** Requests that wait for the send window; the first may have been sent in part. */
  readonly #waiting: Request[] = [];
  #unacknowledged = 0;
  /** Called with the acknowledgement of the PING under way. */
  #onPong: (() => void) | undefined;
  // Reading: the frame header, then its payload; DATA is taken as it comes, the rest is collected.
  readonly #header = Buffer.alloc(9);
  #headerBytes = 0;
  #type = 0;
  #flags = 0;
  #stream = 0;
  #payloadLeft = 0;
  #payload: Buffer[] = [];
  #block: Buffer[] = [];
  #endsAfterBlock = false;
  #closed = false;

  private constructor(socket: Socket, target: Target, path: string, fail: (e: Error) => void) {
    this.#socket = socket;
    this.#target = target;
    this.#indexed = target.token === undefined ? 5 : 6;
    this.#path = path;
    this.#onFailure = fail;
    this.#firstHeaders = this.#makeFirstHeaders();
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#read(chunk);
      } catch (error) {
        this.#fail(error as Error);
      }
      this.flush();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('connection closed')));
    this.#writePreface();
  }

  /** `onFailure` is called when the connection breaks, unless `close` was called. */
  static async open(
    target: Target,
    path: string,
    onFailure: (error: Error) => void,
  ): Promise<LoadConnection> {
    return new LoadConnection(await openSocket(target), target, path, onFailure);
  }

  /** Starts a call; `message` is a gRPC message with its prefix. Sent by `flush` or by itself. */
  call(message: Buffer, slot: Slot): void {
    if (
      this.#waiting.length === 0 &&
      message.length <= Math.min(this.#sendWindow, this.#streamWindow)
    ) {
      this.#start(message, slot, true);
      return;
    }
    this.#waiting.push(new Request(message, slot));
    this.#sendWaiting();
  }

  /** As `call`, with the sending side left open for `send`. Returns the stream. */
  open(slot: Slot): number {
    return this.#start(undefined, slot, false);
  }

  /** A further message on a stream that `open` made. */
  send(stream: number, message: Buffer): void {
    this.#room(message.length + 400);
    this.#writeData(stream, message, 0, message.length, false);
  }

  /** Sends a PING, one at a time; `onPong` is called when it is acknowledged. */
  ping(onPong: () => void): void {
    this.#onPong = onPong;
    this.#room(17);
    this.#frame(8, FRAME.PING, 0, 0);
    this.#out.fill(0, this.#outEnd, this.#outEnd + 8);
    this.#outEnd += 8;
    this.flush();
  }

  flush(): void {
    if (this.#outEnd === 0 || this.#closed) return;
    this.#socket.write(this.#out.subarray(0, this.#outEnd));
    // The socket keeps the bytes until they are sent.
    this.#out = Buffer.allocUnsafe(Math.min(OUT_BYTES, Math.max(16_384, this.#outEnd * 2)));
    this.#outEnd = 0;
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #start(message: Buffer | undefined, slot: Slot, end: boolean): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    if (stream > STREAM_ID_MAX) throw new Error('stream ids are used up');
    this.#room(400 + (message?.length ?? 0));
    this.#writeHeaders(stream);
    if (message !== undefined) this.#writeData(stream, message, 0, message.length, end);
    this.#calls.set(stream, new Call(slot));
    this.active++;
    return stream;
  }

  /** Sends `message[start, stop)`; there is room, and the windows take it. */
  #writeData(stream: number, message: Buffer, start: number, stop: number, end: boolean): void {
    this.#sendWindow -= stop - start;
    for (let at = start; at < stop; at += FRAME_BYTES_MAX) {
      const to = Math.min(stop, at + FRAME_BYTES_MAX);
      const last = end && to === message.length;
      this.#frame(to - at, FRAME.DATA, last ? FLAG.END_STREAM : 0, stream);
      this.#outEnd += message.copy(this.#out, this.#outEnd, at, to);
    }
  }

  #room(bytes: number): void {
    if (this.#outEnd + bytes <= this.#out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#outEnd + bytes));
    this.#out.copy(larger, 0, 0, this.#outEnd);
    this.#out = larger;
  }

  #frame(length: number, type: number, flags: number, stream: number): void {
    const out = this.#out;
    const at = this.#outEnd;
    out[at] = length >> 16;
    out[at + 1] = length >> 8;
    out[at + 2] = length;
    out[at + 3] = type;
    out[at + 4] = flags;
    out.writeUInt32BE(stream, at + 5);
    this.#outEnd = at + 9;
  }

  #writePreface(): void {
    this.#outEnd += this.#out.write(PREFACE, 0, 'latin1');
    this.#frame(12, FRAME.SETTINGS, 0, 0);
    // No push; a window per stream that only an answer of gigabytes exhausts.
    for (const [id, value] of [
      [2, 0],
      [SETTING_WINDOW, WINDOW],
    ] as const) {
      this.#out.writeUInt16BE(id, this.#outEnd);
      this.#out.writeUInt32BE(value, this.#outEnd + 2);
      this.#outEnd += 6;
    }
    this.#writeWindow(WINDOW - WINDOW_DEFAULT);
    this.flush();
  }

  #writeWindow(increment: number, stream = 0): void {
    this.#room(13);
    this.#frame(4, FRAME.WINDOW, 0, stream);
    this.#out.writeUInt32BE(increment, this.#outEnd);
    this.#outEnd += 4;
  }

  /** Puts path, authority and so on into the header table, the timeout last: at index 62. */
  #makeFirstHeaders(): Buffer {
    const { endpoint, token } = this.#target;
    return Buffer.concat([
      Buffer.from([0x83, 0x86]),
      literal(0x44, undefined, this.#path),
      literal(0x41, undefined, endpoint),
      literal(0x5f, undefined, 'application/grpc'),
      literal(0x7a, undefined, 'grpc-go/1.71.1'),
      literal(0x40, 'te', 'trailers'),
      ...(token === undefined ? [] : [literal(0x40, 'token', token)]),
      literal(0x40, 'grpc-timeout', '59999999u'),
    ]);
  }

  #writeHeaders(stream: number): void {
    const first = this.#firstHeaders;
    if (first !== undefined) {
      this.#firstHeaders = undefined;
      this.#frame(first.length, FRAME.HEADERS, FLAG.END_HEADERS, stream);
      this.#outEnd += first.copy(this.#out, this.#outEnd);
      return;
    }
    const indexed = this.#indexed;
    this.#frame(13 + indexed, FRAME.HEADERS, FLAG.END_HEADERS, stream);
    const out = this.#out;
    let at = this.#outEnd;
    out[at] = 0x83;
    out[at + 1] = 0x86;
    at += 2;
    // The oldest has the highest index; 0x80 says that an index is all.
    for (let i = indexed; i > 0; i--) out[at++] = 0x80 + 62 + i;
    // `grpc-timeout` by its index (62 = 15 + 47), value not indexed.
    out[at] = 0x0f;
    out[at + 1] = 47;
    out[at + 2] = 8;
    at += 3;
    this.#timeoutCounter = (this.#timeoutCounter + 7919) % 1_000_000;
    let number = 4_000_000 + this.#timeoutCounter;
    for (let i = 6; i >= 0; i--) {
      out[at + i] = 48 + (number % 10);
      number = Math.floor(number / 10);
    }
    out[at + 7] = 117;
    this.#outEnd = at + 8;
  }

  #read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes < 9) {
        const taken = chunk.copy(this.#header, this.#headerBytes, at, at + 9 - this.#headerBytes);
        this.#headerBytes += taken;
        at += taken;
        if (this.#headerBytes < 9) return;
        this.#beginFrame();
      }
      const end = Math.min(chunk.length, at + this.#payloadLeft);
      if (end > at || this.#payloadLeft === 0) this.#part(chunk, at, end);
      at = end;
    }
  }

  #beginFrame(): void {
    const header = this.#header;
    this.#payloadLeft = header.readUIntBE(0, 3);
    this.#type = header[3]!;
    this.#flags = header[4]!;
    this.#stream = header.readUInt32BE(5) & 0x7fff_ffff;
    if (this.#type === FRAME.DATA && (this.#flags & FLAG.PADDED) !== 0) {
      throw new Error('padded DATA is not expected');
    }
  }

  #part(chunk: Buffer, start: number, end: number): void {
    this.#payloadLeft -= end - start;
    const last = this.#payloadLeft === 0;
    if (last) this.#headerBytes = 0;
    if (this.#type === FRAME.DATA) {
      this.#data(chunk, start, end);
      if (last && (this.#flags & FLAG.END_STREAM) !== 0) this.#endCall(this.#stream);
      return;
    }
    if (last && this.#payload.length === 0) {
      this.#control(chunk, start, end);
      return;
    }
    this.#payload.push(Buffer.from(chunk.subarray(start, end)));
    if (!last) return;
    const whole = Buffer.concat(this.#payload);
    this.#payload = [];
    this.#control(whole, 0, whole.length);
  }

  #data(chunk: Buffer, start: number, end: number): void {
    const length = end - start;
    this.received += length;
    this.#unacknowledged += length;
    if (this.#unacknowledged > WINDOW / 4) {
      this.#writeWindow(this.#unacknowledged);
      this.#unacknowledged = 0;
    }
    const call = this.#calls.get(this.#stream);
    if (call === undefined) return;
    call.bytes += length;
    call.unacknowledged += length;
    if (call.unacknowledged > WINDOW / 4) {
      this.#writeWindow(call.unacknowledged, this.#stream);
      call.unacknowledged = 0;
    }
    if (call.slot.wantsMessages) this.#collect(call, chunk, start, end);
  }

  #collect(call: Call, chunk: Buffer, start: number, end: number): void {
    let at = start;
    if (call.partBytes > 0) {
      // A message began in an earlier frame.
      call.parts.push(Buffer.from(chunk.subarray(start, end)));
      const joined = Buffer.concat(call.parts);
      call.parts = [];
      call.partBytes = 0;
      const rest = this.#messages(call, joined, 0, joined.length);
      if (rest < joined.length) this.#keep(call, joined, rest, joined.length);
      return;
    }
    at = this.#messages(call, chunk, at, end);
    if (at < end) this.#keep(call, chunk, at, end);
  }

  #keep(call: Call, bytes: Buffer, start: number, end: number): void {
    call.parts.push(Buffer.from(bytes.subarray(start, end)));
    call.partBytes += end - start;
  }

  /** Hands out whole messages; returns where the first incomplete one starts. */
  #messages(call: Call, bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (end - at >= 5) {
      const length = bytes.readUInt32BE(at + 1);
      if (end - at - 5 < length) break;
      call.slot.onMessage(bytes.subarray(at + 5, at + 5 + length));
      at += 5 + length;
    }
    return at;
  }

  #control(bytes: Buffer, start: number, end: number): void {
    switch (this.#type) {
      case FRAME.HEADERS:
      case FRAME.MORE:
        this.#headers(bytes, start, end);
        return;
      case FRAME.RST:
        this.#reset(this.#stream, bytes.readUInt32BE(start));
        return;
      case FRAME.SETTINGS:
        if ((this.#flags & FLAG.ACK) === 0) this.#settings(bytes, start, end);
        return;
      case FRAME.PING:
        if ((this.#flags & FLAG.ACK) !== 0) this.#onPong?.();
        else {
          this.#room(17);
          this.#frame(8, FRAME.PING, FLAG.ACK, 0);
          this.#outEnd += bytes.copy(this.#out, this.#outEnd, start, start + 8);
        }
        return;
      case FRAME.WINDOW:
        this.#widen(this.#stream, bytes.readUInt32BE(start));
        return;
      case FRAME.GOAWAY:
        throw new Error(`the server says goodbye: ${bytes.toString('latin1', start + 4, end)}`);
    }
  }

  #settings(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end; at += 6) {
      if (bytes.readUInt16BE(at) !== SETTING_WINDOW) continue;
      const window = bytes.readUInt32BE(at + 2);
      const first = this.#waiting[0];
      if (first !== undefined) first.window += window - this.#streamWindow;
      this.#streamWindow = window;
    }
    this.#room(9);
    this.#frame(0, FRAME.SETTINGS, FLAG.ACK, 0);
    this.#sendWaiting();
  }

  #widen(stream: number, increment: number): void {
    const first = this.#waiting[0];
    if (stream === 0) this.#sendWindow += increment;
    else if (first?.stream === stream) first.window += increment;
    this.#sendWaiting();
  }

  /** Sends what the windows take, one message after the other. */
  #sendWaiting(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.stream === 0) {
        first.stream = this.#start(undefined, first.slot, false);
        first.window = this.#streamWindow;
      }
      const { message, sent, window } = first;
      const bytes = Math.min(message.length - sent, window, this.#sendWindow);
      if (bytes <= 0) return;
      this.#room(bytes + 9 * Math.ceil(bytes / FRAME_BYTES_MAX));
      this.#writeData(first.stream, message, sent, sent + bytes, true);
      first.sent += bytes;
      first.window -= bytes;
      if (first.sent < message.length) return;
      this.#waiting.shift();
    }
  }

  #headers(bytes: Buffer, start: number, end: number): void {
    let from = start;
    let to = end;
    if (this.#type === FRAME.HEADERS) {
      if ((this.#flags & FLAG.PADDED) !== 0) to -= bytes[from++]!;
      if ((this.#flags & FLAG.PRIORITY) !== 0) from += 5;
      this.#endsAfterBlock = (this.#flags & FLAG.END_STREAM) !== 0;
    }
    if ((this.#flags & FLAG.END_HEADERS) === 0) {
      this.#block.push(Buffer.from(bytes.subarray(from, to)));
      return;
    }
    let block = bytes;
    if (this.#block.length > 0) {
      block = Buffer.concat([...this.#block, bytes.subarray(from, to)]);
      this.#block = [];
      from = 0;
      to = block.length;
    }
    const outcome = this.#hpack.read(block, from, to);
    const call = this.#calls.get(this.#stream);
    if (call === undefined) return;
    if (outcome.httpStatus > 0 && outcome.httpStatus !== 200) {
      call.text = `HTTP status ${outcome.httpStatus}`;
    }
    if (outcome.grpcStatus >= 0) {
      call.status = outcome.grpcStatus;
      call.text = outcome.grpcMessage;
    }
    if (this.#endsAfterBlock) this.#endCall(this.#stream);
  }

  #endCall(stream: number): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    this.#calls.delete(stream);
    this.active--;
    call.slot.onEnd(call.status, call.text, call.bytes);
  }

  #reset(stream: number, code: number): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    call.status = -1;
    call.text = `stream reset with code ${code}`;
    this.#endCall(stream);
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.#onFailure(error);
  }
}
