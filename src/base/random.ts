// Random numbers from a seed, for simulation and tests, and for raft's election timeouts once
// seeded from real entropy. Never for ids or secrets.

/** A source of random integers; equal seeds give equal sequences. */
export interface Random {
  /** A uniform integer in [0, bound), for 1 <= bound <= 2^32. */
  below(bound: number): number;
}

/** sfc32 seeded from one number: small, fast and well distributed. */
export function seededRandom(seed: number): Random {
  let a = seed >>> 0;
  let b = Math.floor(seed / 0x1_0000_0000) >>> 0;
  let c = 0x9e3779b9;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let i = 0; i < 15; i++) next();
  return { below: (bound) => Math.floor((next() / 0x1_0000_0000) * bound) };
}

/**
 * Chooses one of so many occasions, in no pattern: what to keep of what passes by, say. A linear congruential
 * generator, for hot paths; every instance gives the same sequence.
 */
export class Dice {
  #state = 1;

  /** True once in 2^`bits` calls, on average; 1 <= bits <= 31. */
  isOneIn(bits: number): boolean {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) | 0;
    return this.#state >>> (32 - bits) === 0;
  }
}
