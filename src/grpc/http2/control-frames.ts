// Frames other than DATA, written to an output. The caller asks for the flush.

import type { Output } from './output.ts';
import { FLAG, FRAME, FRAME_HEADER_BYTES, FRAME_PAYLOAD_MAX } from './protocol.ts';

/** Debug data of a GOAWAY that is sent, and kept of one received. */
export const DEBUG_BYTES_MAX = 256;

export function writeReset(output: Output, streamId: number, code: number): void {
  output.reserve(FRAME_HEADER_BYTES + 4);
  output.frameHeader(4, FRAME.RST_STREAM, 0, streamId);
  output.uint32(code);
}

export function writeWindowUpdate(output: Output, streamId: number, increment: number): void {
  output.reserve(FRAME_HEADER_BYTES + 4);
  output.frameHeader(4, FRAME.WINDOW_UPDATE, 0, streamId);
  output.uint32(increment);
}

/** `bytes[start, start + 8)` is the payload. */
export function writePing(output: Output, ack: boolean, bytes: Uint8Array, start: number): void {
  output.reserve(FRAME_HEADER_BYTES + 8);
  output.frameHeader(8, FRAME.PING, ack ? FLAG.ACK : 0, 0);
  output.copy(bytes, start, start + 8);
}

/** `debug` is cut to {@link DEBUG_BYTES_MAX} chars, one byte each. */
export function writeGoAway(
  output: Output,
  lastStreamId: number,
  code: number,
  debug: string,
): void {
  const text = debug.slice(0, DEBUG_BYTES_MAX);
  output.reserve(FRAME_HEADER_BYTES + 8 + text.length);
  output.frameHeader(8 + text.length, FRAME.GOAWAY, 0, 0);
  output.uint32(lastStreamId);
  output.uint32(code);
  for (let i = 0; i < text.length; i++) output.bytes[output.at++] = text.charCodeAt(i);
}

export function writeSettings(
  output: Output,
  settings: ReadonlyArray<readonly [id: number, value: number]>,
): void {
  output.reserve(FRAME_HEADER_BYTES + settings.length * 6);
  output.frameHeader(settings.length * 6, FRAME.SETTINGS, 0, 0);
  for (const [id, value] of settings) {
    output.bytes[output.at++] = id >>> 8;
    output.bytes[output.at++] = id;
    output.uint32(value);
  }
}

export function writeSettingsAck(output: Output): void {
  output.reserve(FRAME_HEADER_BYTES);
  output.frameHeader(0, FRAME.SETTINGS, FLAG.ACK, 0);
}

/** A whole header block as HEADERS and, if it is long, CONTINUATION frames. */
export function writeHeaders(
  output: Output,
  streamId: number,
  block: Uint8Array,
  length: number,
  endStream: boolean,
): void {
  let at = 0;
  do {
    const next = Math.min(length, at + FRAME_PAYLOAD_MAX);
    const type = at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION;
    let flags = next === length ? FLAG.END_HEADERS : 0;
    if (endStream && type === FRAME.HEADERS) flags |= FLAG.END_STREAM;
    output.reserve(FRAME_HEADER_BYTES + next - at);
    output.frameHeader(next - at, type, flags, streamId);
    output.copy(block, at, next);
    at = next;
  } while (at < length);
}
