// SHA-1 (FIPS 180-4), for member and cluster ids only, which are defined by it. Not for secrets.

const BLOCK_BYTES = 64;
/** Where the message's length in bits stands in the last block. */
const LENGTH_OFFSET = 56;

/** The 20-byte digest of `message`. */
export function sha1(message: Uint8Array): Uint8Array {
  const blocks = Math.ceil((message.length + 1 + 8) / BLOCK_BYTES);
  const padded = new Uint8Array(blocks * BLOCK_BYTES);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64((blocks - 1) * BLOCK_BYTES + LENGTH_OFFSET, BigInt(message.length) * 8n);
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
  const words = new Int32Array(80);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(block * BLOCK_BYTES + i * 4);
    mixBlock(state, words);
  }
  const digest = new Uint8Array(20);
  const out = new DataView(digest.buffer);
  for (let i = 0; i < 5; i++) out.setInt32(i * 4, state[i]!);
  return digest;
}

/** `words` holds a block's 16 words and room for the other 64. */
function mixBlock(state: Int32Array, words: Int32Array): void {
  for (let i = 16; i < 80; i++) {
    words[i] = rotate(words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!, 1);
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0] = state;
  for (let i = 0; i < 80; i++) {
    const next =
      (rotate(a, 5) + choose(i, b, c, d) + e + ROUND_CONSTANTS[(i / 20) | 0]! + words[i]!) | 0;
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  const mixed = [a, b, c, d, e];
  for (let i = 0; i < 5; i++) state[i] = state[i]! + mixed[i]!;
}

const ROUND_CONSTANTS = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6] as const;

function choose(round: number, b: number, c: number, d: number): number {
  if (round < 20) return (b & c) | (~b & d);
  if (round >= 40 && round < 60) return (b & c) | (b & d) | (c & d);
  return b ^ c ^ d;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
