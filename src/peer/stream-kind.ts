// The two kinds of stream between members.

import {
  AppendStreamDecoder,
  AppendStreamEncoder,
  type AppendStreamEnds,
} from './codec/append-stream.ts';
import type { FrameDecoder, FrameEncoder, OnMessage } from './codec/frame-codec.ts';
import { MessageStreamDecoder, MessageStreamEncoder } from './codec/message-stream.ts';

export interface StreamKind {
  /** Request path, before the dialler's id. */
  readonly path: string;
  /** Name in logs. */
  readonly name: string;
  newEncoder(): FrameEncoder;
  newDecoder(ends: AppendStreamEnds, onMessage: OnMessage): FrameDecoder;
}

export const APPEND_STREAM: StreamKind = {
  path: '/raft/stream/msgapp',
  name: 'stream MsgApp v2',
  newEncoder: () => new AppendStreamEncoder(),
  newDecoder: (ends, onMessage) => new AppendStreamDecoder(ends, onMessage),
};

export const MESSAGE_STREAM: StreamKind = {
  path: '/raft/stream/message',
  name: 'stream Message',
  newEncoder: () => new MessageStreamEncoder(),
  newDecoder: (_ends, onMessage) => new MessageStreamDecoder(onMessage),
};

export const STREAM_KINDS: readonly StreamKind[] = [APPEND_STREAM, MESSAGE_STREAM];
