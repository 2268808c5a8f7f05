// Header blocks that repeat on a connection are decoded once.
//
// A block may be cached if decoding it did not change the dynamic table: as long as the table does not
// change (the decoder's generation stays the same), the same bytes mean the same fields and have no
// other effect. Clients that index all their fields send such blocks for every call but the first;
// blocks with a field that is inserted every time (a timeout) are not cached.
//
// A block is copied into the cache at its second sight in a row: one with a literal of its own (a trace
// id) would cost every call a copy and evict what repeats.

const SLOTS = 16;
const BLOCK_BYTES_MAX = 256;

class Entry<Head> {
  readonly bytes: Uint8Array;
  readonly generation: number;
  readonly head: Head;

  constructor(bytes: Uint8Array, generation: number, head: Head) {
    this.bytes = bytes;
    this.generation = generation;
    this.head = head;
  }
}

export class BlockCache<Head> {
  readonly #entries: Array<Entry<Head> | undefined> = new Array<Entry<Head> | undefined>(
    SLOTS,
  ).fill(undefined);
  #last: Entry<Head> | undefined = undefined;
  /** By slot, the hash of the last block that was not cached. */
  readonly #seen = new Int32Array(SLOTS);

  /** What {@link put} was given for these bytes at this generation. */
  get(bytes: Uint8Array, start: number, end: number, generation: number): Head | undefined {
    const last = this.#last;
    if (last !== undefined && matches(last, bytes, start, end, generation)) return last.head;
    if (end - start > BLOCK_BYTES_MAX) return undefined;
    const entry = this.#entries[slotOf(hashOf(bytes, start, end))];
    if (entry === undefined || !matches(entry, bytes, start, end, generation)) return undefined;
    this.#last = entry;
    return entry.head;
  }

  /** Whether a block that is not cached has come before, so that it is worth to {@link put}. */
  isRepeated(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start > BLOCK_BYTES_MAX) return false;
    const hash = hashOf(bytes, start, end);
    const slot = slotOf(hash);
    if (this.#seen[slot] === hash) return true;
    this.#seen[slot] = hash;
    return false;
  }

  /** Caches a block. The caller has seen that decoding it did not move the generation. */
  put(bytes: Uint8Array, start: number, end: number, generation: number, head: Head): void {
    const entry = new Entry(Uint8Array.from(bytes.subarray(start, end)), generation, head);
    this.#entries[slotOf(hashOf(bytes, start, end))] = entry;
  }
}

function matches<Head>(
  entry: Entry<Head>,
  bytes: Uint8Array,
  start: number,
  end: number,
  generation: number,
): boolean {
  const known = entry.bytes;
  if (entry.generation !== generation || known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
  return hash;
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 8)) & (SLOTS - 1);
}
