// The rows of the key bucket, in the interface by which `mvcc` reads and appends them.

import { Dice, ERROR_CODES, type Revision, TetcdError } from '../../base/index.ts';
import {
  type ByteSlice,
  type RowWriter,
  type SplitRow,
  sizeOfKeyField,
  writeKeyField,
} from '../../mvcc/index.ts';
import type { Backend } from '../backend/backend.ts';
import { ByteArena } from '../backend/byte-arena.ts';
import { ROW_CACHE_BYTES } from '../limits.ts';
import { CACHED_ROW_BYTES_MAX, RowCache } from './row-cache.ts';

/** A source of the bytes of a revision: the backend, or a pinned view of it. */
export interface RowFinder {
  findRow(main: Revision, sub: number, into: ByteSlice): boolean;
}

function readRowFrom(finder: RowFinder, main: Revision, sub: number, into: ByteSlice): void {
  if (finder.findRow(main, sub, into)) return;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `key bucket: the row of revision ${main}.${sub} is missing`,
  );
}

export class KvRows implements RowWriter {
  /** Their rows are too large for the cache. */
  readonly splitValueBytesMin = CACHED_ROW_BYTES_MAX;
  readonly #backend: Backend;
  /** For rows that the cache does not take. */
  readonly #arena = new ByteArena();
  readonly #cache = new RowCache(ROW_CACHE_BYTES);
  readonly #dice = new Dice();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  readRow(main: Revision, sub: number, into: ByteSlice): void {
    if (this.#cache.find(main, sub, into)) return;
    const { database } = this.#backend;
    const misses = database.cacheMisses;
    readRowFrom(this.#backend, main, sub, into);
    // One row in eight is cached: rows that are read often get there soon, and a scan of more than fits
    // does not fill the cache with rows that are not read again. One in two, if its page was not cached: of
    // rows that are far apart in the file the cached pages hold a tenth of what this cache does.
    const bits = database.cacheMisses === misses ? 3 : 1;
    if (!this.#dice.isOneIn(bits)) return;
    const { buffer, offset, length } = into;
    if (!this.#cache.reserve(main, sub, length, into)) return;
    into.buffer.set(buffer.subarray(offset, offset + length), into.offset);
  }

  /** As {@link readRow}, of a pinned view, whose scans leave the cache as it is. */
  readPinnedRow(pinned: RowFinder, main: Revision, sub: number, into: ByteSlice): void {
    if (!this.#cache.find(main, sub, into)) readRowFrom(pinned, main, sub, into);
  }

  /** Drops the cached rows. */
  dropCache(): void {
    this.#cache.clear();
  }

  appendRow(
    main: Revision,
    sub: number,
    tombstone: boolean,
    length: number,
    into: ByteSlice,
  ): void {
    // A tombstone's row is never read by its revision.
    if (tombstone || !this.#cache.reserve(main, sub, length, into)) {
      const arena = this.#arena;
      arena.reserve(length);
      into.buffer = arena.slab;
      into.offset = arena.offset;
      into.length = length;
    }
    this.#backend.appendRow(main, sub, tombstone, into.buffer, into.offset, length);
  }

  appendSplitRow(main: Revision, sub: number, row: SplitRow): void {
    this.#backend.appendSplitRow(main, sub, row);
  }

  /** Appends a tombstone of the revision whose rows come late. */
  appendLateTombstone(key: string, sub: number): void {
    const arena = this.#arena;
    const length = sizeOfKeyField(key);
    arena.reserve(length);
    writeKeyField(key, arena.slab, arena.offset);
    this.#backend.appendLateTombstone(sub, arena.slab, arena.offset, length);
  }
}
