/** Source of random bytes, for ids, tokens and timeouts. */
export interface Entropy {
  /** `count` fresh unpredictable bytes (predictable under simulation); the caller owns them. */
  bytes(count: number): Uint8Array;
}
