// The contract of the codecs of both streams.

import type { raftpb } from '../../protocol/index.ts';

/** Writes the frames of one connection, in order. A message that was measured must be written. */
export interface FrameEncoder {
  /** Exact bytes of the frame of this message if it is sent next. */
  size(message: raftpb.Message): number;
  /** Writes the frame; the caller made room. Returns the offset after. */
  write(message: raftpb.Message, target: Uint8Array, offset: number): number;
  readonly heartbeatSize: number;
  writeHeartbeat(target: Uint8Array, offset: number): number;
}

/** Reads the frames of one connection. */
export interface FrameDecoder {
  /**
   * Feeds a piece that must never change later, since messages keep views of it. Throws MALFORMED,
   * NUMBER_TOO_LARGE or LIMIT_EXCEEDED; the connection must then be closed.
   */
  feed(piece: Uint8Array): void;
}

/** A message other than the link heartbeat, with the bytes it took in its stream. */
export type OnMessage = (message: raftpb.Message, size: number) => void;
