import { randomFillSync } from 'node:crypto';
import type { Entropy } from '../entropy.ts';

export function createNodeEntropy(): Entropy {
  return { bytes: (count) => randomFillSync(new Uint8Array(count)) };
}
