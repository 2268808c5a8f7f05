// The append stream ("msgappv2"): appends, most of them without the fields that both sides know.
//
//   offset  size  what
//   0       1     kind: 0 link heartbeat (ends here), 1 entries, 2 whole message
//
//   kind 1: 1     8     number of entries
//           9     8+n   for each entry: length, raftpb.Entry
//           ..    8     commit index
//   kind 2: 1     8     length
//           9     n     raftpb.Message
//
// All numbers are big endian. Both sides keep a term and an index, zero at first: those of the last
// append that was sent whole, advanced by the entries since. An append that continues there, in the
// same term, is sent as kind 1; the receiver adds sender, receiver, term and index.
//
// Member 1 sends to member 2, in term 1, the entry 6 (data 'a', term 1) after entry 5, commit 5, to
// a receiver that is at term 1 and index 5:
//   01 00 00 00 00 00 00 00 01  00 00 00 00 00 00 00 07  10 01 18 06 22 01 61  00 00 00 00 00 00 00 05

import { COUNT_MAX, ERROR_CODES, readUint64, TetcdError, writeUint64 } from '../../base/index.ts';
import { raftpb } from '../../protocol/index.ts';
import { FRAME_BYTES_MAX } from '../limits.ts';
import { checkMessage, isLinkHeartbeat } from './check-message.ts';
import type { FrameDecoder, FrameEncoder, OnMessage } from './frame-codec.ts';
import { FrameInput } from './frame-input.ts';
import { readFrameLength } from './message-stream.ts';

const LINK_HEARTBEAT = 0;
const ENTRIES = 1;
const WHOLE = 2;

/** Kind, count, commit. */
const ENTRIES_OVERHEAD = 17;
/** Kind, length. */
const WHOLE_OVERHEAD = 9;

export class AppendStreamEncoder implements FrameEncoder {
  readonly heartbeatSize = 1;
  #term = 0;
  #index = 0;

  size(message: raftpb.Message): number {
    if (!this.#continues(message)) return WHOLE_OVERHEAD + raftpb.MessageCodec.size(message);
    let size = ENTRIES_OVERHEAD;
    const { entries } = message;
    for (let i = 0; i < entries.length; i++) size += 8 + raftpb.EntryCodec.size(entries[i]!);
    return size;
  }

  write(message: raftpb.Message, target: Uint8Array, offset: number): number {
    const { entries } = message;
    if (!this.#continues(message)) {
      target[offset] = WHOLE;
      const end = raftpb.MessageCodec.write(message, target, offset + WHOLE_OVERHEAD);
      writeUint64(end - offset - WHOLE_OVERHEAD, target, offset + 1);
      this.#term = message.term;
      this.#index = entries.length > 0 ? entries[entries.length - 1]!.index : message.index;
      return end;
    }
    target[offset] = ENTRIES;
    let at = writeUint64(entries.length, target, offset + 1);
    for (let i = 0; i < entries.length; i++) {
      const end = raftpb.EntryCodec.write(entries[i]!, target, at + 8);
      writeUint64(end - at - 8, target, at);
      at = end;
    }
    this.#index += entries.length;
    return writeUint64(message.commit, target, at);
  }

  writeHeartbeat(target: Uint8Array, offset: number): number {
    target[offset] = LINK_HEARTBEAT;
    return offset + 1;
  }

  #continues(message: raftpb.Message): boolean {
    return (
      message.index === this.#index &&
      message.logTerm === this.#term &&
      message.term === this.#term &&
      // Appends that kind 1 cannot represent.
      message.type === raftpb.MessageType.MsgApp
    );
  }
}

const STATES = {
  KIND: 0,
  COUNT: 1,
  ENTRY_LENGTH: 2,
  ENTRY: 3,
  COMMIT: 4,
  WHOLE_LENGTH: 5,
  WHOLE: 6,
} as const;

export interface AppendStreamEnds {
  /** This member, which dialled. */
  readonly local: bigint;
  /** The member that sends. */
  readonly remote: bigint;
}

export class AppendStreamDecoder implements FrameDecoder {
  readonly #ends: AppendStreamEnds;
  readonly #onMessage: OnMessage;
  readonly #input = new FrameInput(1, (bytes, start) => this.#take(bytes, start));
  #state: (typeof STATES)[keyof typeof STATES] = STATES.KIND;
  #term = 0;
  #index = 0;
  /** Of the current frame: entries still missing, length of the next part, bytes so far. */
  #missing = 0;
  #length = 0;
  #frameBytes = 0;
  #entries: raftpb.Entry[] = [];

  constructor(ends: AppendStreamEnds, onMessage: OnMessage) {
    this.#ends = ends;
    this.#onMessage = onMessage;
  }

  feed(piece: Uint8Array): void {
    this.#input.feed(piece);
  }

  #take(bytes: Uint8Array, start: number): number {
    switch (this.#state) {
      case STATES.KIND:
        return this.#takeKind(bytes[start]!);
      case STATES.COUNT:
        this.#missing = readUint64(bytes, start, 'append stream: number of entries');
        // Each entry takes the 8 bytes of its length at least.
        this.#grow(8 * this.#missing);
        this.#frameBytes = 0;
        return this.#expectEntry();
      case STATES.ENTRY_LENGTH:
        this.#length = readFrameLength(bytes, start, FRAME_BYTES_MAX, 'append stream: entry');
        this.#grow(8 + this.#length);
        if (this.#length === 0) return this.#takeEntry(bytes, start);
        this.#state = STATES.ENTRY;
        return this.#length;
      case STATES.ENTRY:
        return this.#takeEntry(bytes, start);
      case STATES.COMMIT:
        return this.#takeCommit(readUint64(bytes, start, 'append stream: commit'));
      case STATES.WHOLE_LENGTH:
        this.#length = readFrameLength(bytes, start, FRAME_BYTES_MAX, 'append stream');
        if (this.#length === 0) return this.#takeWhole(bytes, start);
        this.#state = STATES.WHOLE;
        return this.#length;
      case STATES.WHOLE:
        return this.#takeWhole(bytes, start);
    }
  }

  #takeKind(kind: number): number {
    switch (kind) {
      case LINK_HEARTBEAT:
        return 1;
      case ENTRIES:
        this.#state = STATES.COUNT;
        return 8;
      case WHOLE:
        this.#state = STATES.WHOLE_LENGTH;
        return 8;
      default:
        throw new TetcdError(ERROR_CODES.MALFORMED, `append stream: unknown kind ${kind}`);
    }
  }

  #expectEntry(): number {
    this.#state = this.#missing > 0 ? STATES.ENTRY_LENGTH : STATES.COMMIT;
    return 8;
  }

  #takeEntry(bytes: Uint8Array, start: number): number {
    this.#entries.push(raftpb.EntryCodec.decode(bytes, start, start + this.#length));
    this.#missing--;
    return this.#expectEntry();
  }

  #takeCommit(commit: number): number {
    const message = raftpb.MessageCodec.create();
    message.type = raftpb.MessageType.MsgApp;
    message.from = this.#ends.remote;
    message.to = this.#ends.local;
    message.term = this.#term;
    message.logTerm = this.#term;
    message.index = this.#index;
    message.entries = this.#entries;
    message.commit = commit;
    this.#index += this.#entries.length;
    if (this.#index > COUNT_MAX) {
      throw new TetcdError(ERROR_CODES.NUMBER_TOO_LARGE, 'append stream: index above 2^53-1');
    }
    const size = ENTRIES_OVERHEAD + this.#frameBytes;
    this.#entries = [];
    this.#frameBytes = 0;
    this.#state = STATES.KIND;
    this.#deliver(message, size);
    return 1;
  }

  #takeWhole(bytes: Uint8Array, start: number): number {
    const message = raftpb.MessageCodec.decode(bytes, start, start + this.#length);
    const { entries } = message;
    this.#term = message.term;
    this.#index = entries.length > 0 ? entries[entries.length - 1]!.index : message.index;
    this.#state = STATES.KIND;
    this.#deliver(message, this.#length);
    return 1;
  }

  #deliver(message: raftpb.Message, size: number): void {
    if (isLinkHeartbeat(message)) return;
    checkMessage(message);
    this.#onMessage(message, size);
  }

  #grow(bytes: number): void {
    this.#frameBytes += bytes;
    if (this.#frameBytes > FRAME_BYTES_MAX) {
      const text = `append stream: a frame exceeds the limit of ${FRAME_BYTES_MAX} bytes`;
      throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, text);
    }
  }
}
