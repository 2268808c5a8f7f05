import { randomFillSync } from 'node:crypto';
import type { Entropy } from '../entropy.ts';

/** The operating system's random bytes. */
export function createNodeEntropy(): Entropy {
  return { bytes: (count) => randomFillSync(new Uint8Array(count)) };
}
