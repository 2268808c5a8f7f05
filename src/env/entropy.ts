/** Random bytes. */
export interface Entropy {
  /** `count` fresh unpredictable bytes (predictable under simulation); the caller owns them. */
  bytes(count: number): Uint8Array;
}
