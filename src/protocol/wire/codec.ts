// The contract of a codec. Generated code implements it; hand-written codecs for hot paths
// (a range response that splices stored bytes, say) implement {@link Encoder} too.

/** Writes one message type. The transport asks for the size, makes room, and lets it write. */
export interface Encoder<T> {
  /** Exact number of bytes that `write` will produce. */
  size(message: T): number;
  /** Writes exactly `size(message)` bytes at `offset`; the caller made room. Returns the offset after. */
  write(message: T, target: Uint8Array, offset: number): number;
}

/** Reads and writes one message type. */
export interface Codec<T, Init> extends Encoder<T> {
  /** Full protobuf name, such as `etcdserverpb.PutRequest`. */
  readonly name: string;
  /** A message with every field present; fields that `init` leaves out are absent or zero. */
  create(init?: Init): T;
  /**
   * Reads `bytes[start, end)`, from the log, the disk or another member, as leniently as any release of
   * etcd does. Byte fields are views of `bytes`. Throws MALFORMED or NUMBER_TOO_LARGE naming message,
   * field and offset.
   */
  decode(bytes: Uint8Array, start?: number, end?: number): T;
  /** As {@link decode}, from a client: what etcd 3.7 takes and nothing else. */
  decodeRequest(bytes: Uint8Array): T;
  /** One exactly sized buffer, in canonical field order. */
  encode(message: T): Uint8Array;
}
