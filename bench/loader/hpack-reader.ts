// Reads HPACK (RFC 7541) header blocks, for the one thing the loader wants of them: the status.
//
// A block that consists of table references only (all but the first few of a connection) is read
// without decoding anything. Independent of the server's own HPACK code on purpose: a mistake there
// must not hide itself.

/** Code length in bits of each symbol, 0 to 256, of appendix B. */
const HUFFMAN_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/** The code is canonical: lengths determine it. Key: `1` then the code's bits, as a number. */
const symbolByCode = new Map<number, number>();
{
  const symbols = HUFFMAN_LENGTHS.map((length, symbol) => ({ length, symbol }));
  symbols.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  let code = 0;
  let last = symbols[0]!.length;
  for (const { length, symbol } of symbols) {
    code *= 2 ** (length - last);
    last = length;
    symbolByCode.set(2 ** length + code, symbol);
    code++;
  }
}

function huffmanDecode(bytes: Buffer, start: number, end: number): string {
  let text = '';
  let key = 1;
  for (let i = start; i < end; i++) {
    for (let bit = 7; bit >= 0; bit--) {
      key = key * 2 + ((bytes[i]! >> bit) & 1);
      const symbol = symbolByCode.get(key);
      if (symbol !== undefined) {
        text += String.fromCharCode(symbol);
        key = 1;
      }
    }
  }
  return text;
}

// The entries of the static table that responses may name; the rest is never asked for by name.
const STATIC_SIZE = 61;
const STATIC_NAMES: Readonly<Record<number, string>> = { 8: ':status', 31: 'content-type' };
const STATIC_STATUS: Readonly<Record<number, string>> = {
  ...{ 8: '200', 9: '204', 10: '206', 11: '304', 12: '400', 13: '404', 14: '500' },
};
const TABLE_BYTES_DEFAULT = 4096;
const ENTRY_OVERHEAD = 32;

interface Entry {
  readonly name: string;
  readonly value: string;
}

/** What a block says about the outcome; -1 where it says nothing. */
export interface Outcome {
  httpStatus: number;
  grpcStatus: number;
  grpcMessage: string;
}

export class HpackReader {
  /** Newest first. */
  #entries: Entry[] = [];
  #size = 0;
  #sizeMax = TABLE_BYTES_DEFAULT;
  #position = 0;
  readonly #outcome: Outcome = { httpStatus: -1, grpcStatus: -1, grpcMessage: '' };

  /** The result is valid until the next call. Throws on a block it cannot read. */
  read(bytes: Buffer, start: number, end: number): Outcome {
    const outcome = this.#outcome;
    outcome.httpStatus = -1;
    outcome.grpcStatus = -1;
    outcome.grpcMessage = '';
    this.#position = start;
    while (this.#position < end) {
      const first = bytes[this.#position]!;
      if (first >= 0x80) this.#note(this.#entry(this.#integer(bytes, 7)));
      else if (first >= 0x40) this.#literal(bytes, 6, true);
      else if (first >= 0x20) this.#resize(this.#integer(bytes, 5));
      else this.#literal(bytes, 4, false);
    }
    if (this.#position !== end) throw new Error('header block cut short');
    return outcome;
  }

  #note(entry: Entry): void {
    if (entry.name === 'grpc-status') this.#outcome.grpcStatus = Number(entry.value);
    else if (entry.name === ':status') this.#outcome.httpStatus = Number(entry.value);
    else if (entry.name === 'grpc-message') this.#outcome.grpcMessage = entry.value;
  }

  #entry(index: number): Entry {
    if (index > STATIC_SIZE) {
      const entry = this.#entries[index - STATIC_SIZE - 1];
      if (entry === undefined) throw new Error(`header table index ${index}`);
      return entry;
    }
    const status = STATIC_STATUS[index];
    if (status !== undefined) return { name: ':status', value: status };
    return { name: STATIC_NAMES[index] ?? `static-${index}`, value: '' };
  }

  #literal(bytes: Buffer, prefixBits: number, add: boolean): void {
    const index = this.#integer(bytes, prefixBits);
    const name = index === 0 ? this.#string(bytes) : this.#entry(index).name;
    const entry = { name, value: this.#string(bytes) };
    this.#note(entry);
    if (!add) return;
    this.#entries.unshift(entry);
    this.#size += name.length + entry.value.length + ENTRY_OVERHEAD;
    this.#evict();
  }

  #resize(size: number): void {
    this.#sizeMax = size;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#sizeMax) {
      const entry = this.#entries.pop()!;
      this.#size -= entry.name.length + entry.value.length + ENTRY_OVERHEAD;
    }
  }

  #integer(bytes: Buffer, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = bytes[this.#position++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[this.#position++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  #string(bytes: Buffer): string {
    const coded = bytes[this.#position]! >= 0x80;
    const length = this.#integer(bytes, 7);
    const start = this.#position;
    this.#position += length;
    if (coded) return huffmanDecode(bytes, start, this.#position);
    return bytes.toString('latin1', start, this.#position);
  }
}
