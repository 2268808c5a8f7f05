// Bounds on what a decoder accepts.

/**
 * Messages within messages, the outermost counted. Each level costs a stack frame in the decoder,
 * and again in whatever walks the message: V8's default stack (about 1 MB) holds some 5,000. etcd
 * itself takes 10,000, which no client comes near: a transaction within a transaction is two levels.
 * Beyond it the message is MALFORMED.
 */
export const MESSAGE_NESTING_MAX = 1000;

/** Bytes of a varint; ten carry 64 bits. Beyond it the message is MALFORMED. */
export const VARINT_BYTES_MAX = 10;

/** Largest field number that protobuf allows, 2^29-1. Beyond it the message is MALFORMED. */
export const FIELD_NUMBER_MAX = 536_870_911;
