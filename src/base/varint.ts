// Protobuf's varints of counts, written forwards: what hand-written encoders share.

const TWO_POW_28 = 0x1000_0000;
const TWO_POW_35 = 0x8_0000_0000;

/** Bytes of `value` (0 to 2^53-1) as a varint. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < TWO_POW_28) return 4;
  let size = 5;
  for (let rest = Math.floor(value / TWO_POW_35); rest > 0; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes `value` (0 to 2^53-1) as a varint; the caller made room. Returns the offset after. */
export function writeVarint(value: number, target: Uint8Array, offset: number): number {
  let at = offset;
  let rest = value;
  while (rest >= TWO_POW_28) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  let low = rest | 0;
  while (low >= 0x80) {
    target[at++] = (low & 0x7f) | 0x80;
    low >>>= 7;
  }
  target[at++] = low;
  return at;
}
