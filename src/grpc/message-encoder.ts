/**
 * Writes one message type. The transport asks for the size, makes room in the connection's outgoing
 * buffer, and lets it write there: message bytes are written once. Any codec with these two methods
 * fits; this folder knows no message.
 */
export interface Encoder<T> {
  /** Exact number of bytes that `write` will produce. */
  size(message: T): number;
  /** Writes exactly `size(message)` bytes at `offset`; the caller made room. Returns the offset after. */
  write(message: T, target: Uint8Array, offset: number): number;
}

/** The encoder of a message that is bytes already. */
export const BYTES_ENCODER: Encoder<Uint8Array> = {
  size: (message) => message.length,
  write: (message, target, offset) => {
    target.set(message, offset);
    return offset + message.length;
  },
};
