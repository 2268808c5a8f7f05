// Frames and header fields of a connection as text, in the form in which Go's net/http2 prints them with
// GODEBUG=http2debug=2. It reads the bytes that pass in both directions with readers of its own, so that
// a connection which is not traced pays nothing.

import { goQuote } from '../../base/index.ts';
import type { ByteStream, ByteStreamHandler } from '../../env/index.ts';
import { HpackDecoder } from '../hpack/index.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { readUint32 } from './output.ts';
import {
  DEFAULT_HEADER_TABLE_BYTES,
  FLAG,
  FRAME,
  http2ErrorName,
  PREFACE,
  SETTING,
} from './protocol.ts';

interface FrameTraceOptions {
  /** 1: frames. 2: the content of DATA and the header fields that arrive, too. */
  readonly level: 1 | 2;
  /** Gets each line, without its end. */
  readonly print: (line: string) => void;
}

/** Bytes of DATA in a line; Go's. */
const DATA_BYTES_SHOWN = 256;
/** Larger header lists are shown in part. */
const LIST_BYTES_SHOWN: number = 1024 * 1024;

let connectionCount = 0;

/** The stream with a trace of what passes; to be used in place of `stream` from the beginning on. */
export function tracedStream(stream: ByteStream, options: FrameTraceOptions): ByteStream {
  connectionCount++;
  return new TracedStream(
    stream,
    options,
    `0xc${(connectionCount * 0x40).toString(16).padStart(9, '0')}`,
  );
}

class TracedStream implements ByteStream, ByteStreamHandler {
  handler!: ByteStreamHandler;
  readonly #stream: ByteStream;
  readonly #read: Direction;
  readonly #wrote: Direction;
  /** Bytes of the client's preface, which is no frame, that have not come. */
  #prefaceLeft = PREFACE.length;

  constructor(stream: ByteStream, options: FrameTraceOptions, name: string) {
    this.#stream = stream;
    this.#read = new Direction(`http2: Framer ${name}: read`, options, options.level === 2);
    this.#wrote = new Direction(`http2: Framer ${name}: wrote`, options, false);
    stream.handler = this;
  }

  get remoteAddress(): string {
    return this.#stream.remoteAddress;
  }

  get bufferedBytes(): number {
    return this.#stream.bufferedBytes;
  }

  get hasReleased(): boolean {
    return this.#stream.hasReleased === true;
  }

  write(bytes: Uint8Array): boolean {
    this.#wrote.take(bytes, 0);
    return this.#stream.write(bytes);
  }

  writeAll(pieces: readonly Uint8Array[]): boolean {
    for (const piece of pieces) this.#wrote.take(piece, 0);
    return this.#stream.writeAll(pieces);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(): void {
    this.#stream.end();
  }

  destroy(error?: Error): void {
    this.#stream.destroy(error);
  }

  onData(bytes: Uint8Array): void {
    const from = Math.min(this.#prefaceLeft, bytes.length);
    this.#prefaceLeft -= from;
    this.#read.take(bytes, from);
    this.handler.onData(bytes);
  }

  onDrain(): void {
    this.handler.onDrain();
  }

  onEnd(): void {
    this.handler.onEnd();
  }

  onClose(error: Error | undefined): void {
    this.handler.onClose(error);
  }
}

class Direction implements FrameSink {
  readonly closed = false;
  readonly hasEnough = false;
  readonly #reader = new FrameReader();
  readonly #decoder: HpackDecoder | undefined;
  readonly #prefix: string;
  readonly #options: FrameTraceOptions;
  /** Of the header block that is incomplete. */
  #block: Uint8Array[] = [];
  #failed = false;

  constructor(prefix: string, options: FrameTraceOptions, showsFields: boolean) {
    this.#prefix = prefix;
    this.#options = options;
    if (showsFields) {
      this.#decoder = new HpackDecoder(DEFAULT_HEADER_TABLE_BYTES, LIST_BYTES_SHOWN);
    }
  }

  /** What cannot be read ends the trace of this direction, and nothing else. */
  take(bytes: Uint8Array, from: number): void {
    if (this.#failed || from >= bytes.length) return;
    try {
      this.#reader.push(bytes, from, this);
    } catch (error) {
      this.#failed = true;
      this.#options.print(`${this.#prefix}: ${error instanceof Error ? error.message : error}`);
    }
  }

  onFrame(
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const payload = bytes.subarray(start, end);
    const shown = flags === 0 ? '' : ` flags=${flagNames(type, flags)}`;
    const stream = id === 0 ? '' : ` stream=${id}`;
    const rest = this.#detail(type, flags, id, payload);
    this.#options.print(
      `${this.#prefix} ${typeName(type)}${shown}${stream} len=${payload.length}${rest}`,
    );
    if (this.#decoder !== undefined) this.#takeFields(this.#decoder, type, flags, payload);
  }

  #detail(type: number, flags: number, id: number, payload: Uint8Array): string {
    switch (type) {
      case FRAME.DATA:
        return this.#options.level === 2 ? dataText(unpadded(flags, payload)) : '';
      case FRAME.SETTINGS:
        return settingsText(payload);
      case FRAME.WINDOW_UPDATE: {
        const scope = id === 0 ? ' (conn)' : '';
        return payload.length < 4 ? '' : `${scope} incr=${readUint32(payload, 0) & 0x7fffffff}`;
      }
      case FRAME.PING:
        return ` ping=${goQuote(payload)}`;
      case FRAME.RST_STREAM:
        return payload.length < 4 ? '' : ` ErrCode=${http2ErrorName(readUint32(payload, 0))}`;
      case FRAME.GOAWAY: {
        if (payload.length < 8) return '';
        const code = http2ErrorName(readUint32(payload, 4));
        const last = readUint32(payload, 0) & 0x7fffffff;
        return ` LastStreamID=${last} ErrCode=${code} Debug=${goQuote(payload.subarray(8))}`;
      }
      default:
        return '';
    }
  }

  #takeFields(decoder: HpackDecoder, type: number, flags: number, payload: Uint8Array): void {
    if (type === FRAME.HEADERS) {
      const content = unpadded(flags, payload);
      this.#block = [content.slice(flags & FLAG.PRIORITY ? 5 : 0)];
    } else if (type === FRAME.CONTINUATION) this.#block.push(payload.slice());
    else return;
    if ((flags & FLAG.END_HEADERS) === 0) return;
    const block = Buffer.concat(this.#block);
    this.#block = [];
    decoder.decode(block, 0, block.length);
    for (const { name, value } of decoder.fields) {
      const text = `${goQuote(latin1(name))} = ${goQuote(latin1(value))}`;
      this.#options.print(`http2: decoded hpack field header field ${text}`);
    }
  }
}

function latin1(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function typeName(type: number): string {
  return Object.keys(FRAME)[type] ?? `UNKNOWN_FRAME_TYPE_${type}`;
}

const FLAG_NAMES: Readonly<Record<number, Readonly<Record<number, string>>>> = {
  [FRAME.DATA]: { [FLAG.END_STREAM]: 'END_STREAM', [FLAG.PADDED]: 'PADDED' },
  [FRAME.HEADERS]: {
    [FLAG.END_STREAM]: 'END_STREAM',
    [FLAG.END_HEADERS]: 'END_HEADERS',
    [FLAG.PADDED]: 'PADDED',
    [FLAG.PRIORITY]: 'PRIORITY',
  },
  [FRAME.SETTINGS]: { [FLAG.ACK]: 'ACK' },
  [FRAME.PING]: { [FLAG.ACK]: 'ACK' },
  [FRAME.CONTINUATION]: { [FLAG.END_HEADERS]: 'END_HEADERS' },
};

function flagNames(type: number, flags: number): string {
  const names: string[] = [];
  for (let bit = 1; bit < 0x100; bit <<= 1) {
    if ((flags & bit) !== 0) names.push(FLAG_NAMES[type]?.[bit] ?? `0x${bit.toString(16)}`);
  }
  return names.join('|');
}

function unpadded(flags: number, payload: Uint8Array): Uint8Array {
  if ((flags & FLAG.PADDED) === 0 || payload.length === 0) return payload;
  return payload.subarray(1, Math.max(1, payload.length - payload[0]!));
}

function dataText(data: Uint8Array): string {
  const omitted = data.length - DATA_BYTES_SHOWN;
  const text = ` data=${goQuote(data.subarray(0, DATA_BYTES_SHOWN))}`;
  return omitted > 0 ? `${text} (${omitted} bytes omitted)` : text;
}

function settingsText(payload: Uint8Array): string {
  const texts: string[] = [];
  for (let at = 0; at + 6 <= payload.length; at += 6) {
    const id = payload[at]! * 256 + payload[at + 1]!;
    const found = Object.entries(SETTING).find(([, number]) => number === id);
    texts.push(`${found?.[0] ?? `UNKNOWN_SETTING_${id}`}=${readUint32(payload, at + 2)}`);
  }
  return texts.length === 0 ? '' : `, settings: ${texts.join(', ')}`;
}
