// The message stream: every kind of message but appends and snapshots.
//
//   offset  size  what
//   0       8     length, big endian, up to 512 MiB
//   8       n     raftpb.Message
//
// A MsgHeartbeatResp (type 9) from member 2 to member 1 in term 3:
//   00 00 00 00 00 00 00 08  08 09 10 01 18 02 20 03
// The link heartbeat is a MsgHeartbeat (type 8) without sender and receiver:
//   00 00 00 00 00 00 00 02  08 08
// Members up to 3.6 write its zero fields too.

import { ERROR_CODES, readUint64, TetcdError, writeUint64 } from '../../base/index.ts';
import { raftpb } from '../../protocol/index.ts';
import { FRAME_BYTES_MAX } from '../limits.ts';
import { checkMessage, isLinkHeartbeat } from './check-message.ts';
import type { FrameDecoder, FrameEncoder, OnMessage } from './frame-codec.ts';
import { FrameInput } from './frame-input.ts';

const HEARTBEAT_TYPE = 0x08;

export class MessageStreamEncoder implements FrameEncoder {
  readonly heartbeatSize = 10;

  size(message: raftpb.Message): number {
    return 8 + raftpb.MessageCodec.size(message);
  }

  write(message: raftpb.Message, target: Uint8Array, offset: number): number {
    const end = raftpb.MessageCodec.write(message, target, offset + 8);
    writeUint64(end - offset - 8, target, offset);
    return end;
  }

  writeHeartbeat(target: Uint8Array, offset: number): number {
    const at = writeUint64(2, target, offset);
    target[at] = HEARTBEAT_TYPE;
    target[at + 1] = raftpb.MessageType.MsgHeartbeat;
    return at + 2;
  }
}

export class MessageStreamDecoder implements FrameDecoder {
  readonly #onMessage: OnMessage;
  readonly #input = new FrameInput(8, (bytes, start) => this.#take(bytes, start));
  /** Length of the current message; -1 while the length itself is awaited. */
  #length = -1;

  constructor(onMessage: OnMessage) {
    this.#onMessage = onMessage;
  }

  feed(piece: Uint8Array): void {
    this.#input.feed(piece);
  }

  #take(bytes: Uint8Array, start: number): number {
    if (this.#length >= 0) {
      this.#takeMessage(bytes, start, this.#length);
      this.#length = -1;
      return 8;
    }
    const length = readFrameLength(bytes, start, FRAME_BYTES_MAX, 'message stream');
    if (length === 0) {
      this.#takeMessage(bytes, start, 0);
      return 8;
    }
    this.#length = length;
    return length;
  }

  #takeMessage(bytes: Uint8Array, start: number, length: number): void {
    const message = raftpb.MessageCodec.decode(bytes, start, start + length);
    if (isLinkHeartbeat(message)) return;
    checkMessage(message);
    this.#onMessage(message, length);
  }
}

/** A length within `max`, or LIMIT_EXCEEDED. */
export function readFrameLength(
  bytes: Uint8Array,
  start: number,
  max: number,
  what: string,
): number {
  const length = readUint64(bytes, start, `${what}: length`);
  if (length > max) {
    const text = `${what}: ${length} bytes exceed the limit of ${max}`;
    throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, text);
  }
  return length;
}
