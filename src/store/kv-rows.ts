// The rows of the key bucket as the mvcc folder reads and appends them.

import { type Revision, TetcdError } from '../base/index.ts';
import type { ByteSlice, RowWriter } from '../mvcc/index.ts';
import type { Backend } from './backend.ts';
import { ByteArena } from './byte-arena.ts';

/** Whatever finds the bytes of a revision: the backend, or a pinned sight of it. */
export interface RowFinder {
  findRow(main: Revision, sub: number, into: ByteSlice): boolean;
}

export function readRowFrom(finder: RowFinder, main: Revision, sub: number, into: ByteSlice): void {
  if (finder.findRow(main, sub, into)) return;
  throw new TetcdError('CORRUPT', `key bucket: the row of revision ${main}.${sub} is missing`);
}

export class KvRows implements RowWriter {
  readonly #backend: Backend;
  readonly #arena = new ByteArena();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  readRow(main: Revision, sub: number, into: ByteSlice): void {
    readRowFrom(this.#backend, main, sub, into);
  }

  appendRow(
    main: Revision,
    sub: number,
    tombstone: boolean,
    length: number,
    into: ByteSlice,
  ): void {
    const arena = this.#arena;
    arena.reserve(length);
    into.buffer = arena.slab;
    into.offset = arena.offset;
    into.length = length;
    this.#backend.appendRow(main, sub, tombstone, arena.slab, arena.offset, length);
  }
}
