// 64-bit integers as two unsigned 32-bit halves. A store into one shared 8-byte array and two loads
// from it (or the other way round) split and join a bigint without bigint arithmetic.

const big = new BigUint64Array(1);
const signed = new BigInt64Array(big.buffer);
const halves = new Uint32Array(big.buffer);

big[0] = 1n;
/** Where the low and the high half lie on this machine. */
const LOW = halves[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

export function bigFromHalves(low: number, high: number): bigint {
  halves[LOW] = low;
  halves[HIGH] = high;
  return big[0]!;
}

export function bigFromSignedHalves(low: number, high: number): bigint {
  halves[LOW] = low;
  halves[HIGH] = high;
  return signed[0]!;
}

/** The low half of `value` in two's complement; {@link highHalf} then returns the other. */
export function splitBig(value: bigint): number {
  big[0] = value;
  return halves[LOW]!;
}

/** The high half of the value that {@link splitBig} saw last. */
export function highHalf(): number {
  return halves[HIGH]!;
}
