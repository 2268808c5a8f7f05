import { randomFillSync } from 'node:crypto';
import type { Entropy } from '../entropy.ts';

/** Random bytes of the operating system, fit for secrets. */
export function createNodeEntropy(): Entropy {
  return { bytes: (count) => randomFillSync(new Uint8Array(count)) };
}
