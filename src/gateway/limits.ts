// Bounds of the gateway: what they are, why, and what happens when one is reached.

/**
 * Bytes of JSON for each byte that an encoded request may have: base64 takes four for three, names and blanks
 * the rest. Reached by one value of a body: RESOURCE_EXHAUSTED.
 */
export const JSON_BYTES_PER_BYTE = 4;

/**
 * Bytes of bodies and of answers that are kept, of all requests together: sixty answers of the largest size
 * that a range keeps whole. Reached: bodies are refused with `etcdserver: too many requests`, and ranges
 * are read again while they are sent.
 */
export const HELD_BYTES_MAX: number = 256 * 1024 * 1024;

/**
 * Time for the body of a request that holds one message. etcd sets none; node:http's own limit would end
 * streams of requests, too. Reached: the connection is closed.
 */
export const BODY_TIMEOUT_MS: number = 5 * 60_000;

/**
 * Bytes of a body that are passed over after its request was refused; Go's. Reached: the connection ends
 * with the answer.
 */
export const UNREAD_BYTES_MAX: number = 256 * 1024;

/** An encoded answer of more bytes is printed in pieces; a shorter one is one string. */
export const WHOLE_ANSWER_BYTES_MAX: number = 256 * 1024;

/** Bytes of an encoded answer that are printed at once. */
export const ANSWER_PIECE_BYTES: number = 64 * 1024;
