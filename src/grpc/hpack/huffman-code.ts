// RFC 7541 appendix B. The code is canonical (shorter codes first, then by symbol), so the lengths of
// the symbols' codes determine the codes.

/** Symbol 256: only its prefix appears, as padding. */
export const HUFFMAN_EOS = 256;

/** Code lengths in bits, each with the symbols that have it, in ascending order. */
const SYMBOLS_BY_LENGTH: ReadonlyArray<readonly [bits: number, symbols: readonly number[]]> = [
  [5, ofText('012aceiost')],
  [6, ofText(' %-./3456789=A_bdfghlmnpru')],
  [7, ofText(':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz')],
  [8, ofText('&*,;XZ')],
  [10, ofText('!"()?')],
  [11, ofText("'+|")],
  [12, ofText('#>')],
  [13, [0, ...ofText('$@[]~')]],
  [14, ofText('^}')],
  [15, ofText('<`{')],
  [19, [92, 195, 208]],
  [20, [128, 130, 131, 162, 184, 194, 224, 226]],
  [21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]],
  [
    22,
    [
      129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187,
      189, 190, 196, 198, 228, 232, 233,
    ],
  ],
  [
    23,
    [
      1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168,
      174, 175, 180, 182, 183, 188, 191, 197, 231, 239,
    ],
  ],
  [24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]],
  [25, [199, 207, 234, 235]],
  [26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]],
  [
    27,
    [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254],
  ],
  [
    28,
    [
      2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30,
      31, 127, 220, 249,
    ],
  ],
  [30, [10, 13, 22, HUFFMAN_EOS]],
];

function ofText(text: string): number[] {
  return Array.from(text, (char) => char.charCodeAt(0));
}

/** Code of each symbol, right-aligned. */
export const HUFFMAN_CODES: Uint32Array = new Uint32Array(257);
/** Bits in each symbol's code. */
export const HUFFMAN_LENGTHS: Uint8Array = new Uint8Array(257);

let code = 0;
let previousBits = 0;
for (const [bits, symbols] of SYMBOLS_BY_LENGTH) {
  code *= 2 ** (bits - previousBits);
  previousBits = bits;
  for (const symbol of symbols) {
    HUFFMAN_CODES[symbol] = code++;
    HUFFMAN_LENGTHS[symbol] = bits;
  }
}
