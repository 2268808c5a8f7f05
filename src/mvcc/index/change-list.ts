// The changes of one revision, in order: what watchers get.

import type { ByteSlice } from '../types.ts';

/** Parallel arrays; sub revision i is change i. */
export class ChangeList {
  readonly keys: string[] = [];
  readonly #kinds: Kind[] = [];
  /** Where the encoded KeyValue of a put lies; of a deletion, an empty place. */
  readonly buffers: (Uint8Array | undefined)[] = [];
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];

  get size(): number {
    return this.keys.length;
  }

  isDelete(at: number): boolean {
    return this.#kinds[at] === Kind.DELETE;
  }

  /** Whether the change put a key that did not exist: there is no pair before it. */
  isCreate(at: number): boolean {
    return this.#kinds[at] === Kind.CREATE;
  }

  addPut(key: string, creates: boolean, row: ByteSlice): void {
    this.keys.push(key);
    this.#kinds.push(creates ? Kind.CREATE : Kind.UPDATE);
    this.buffers.push(row.buffer);
    this.offsets.push(row.offset);
    this.lengths.push(row.length);
  }

  addDelete(key: string): void {
    this.keys.push(key);
    this.#kinds.push(Kind.DELETE);
    this.buffers.push(undefined);
    this.offsets.push(0);
    this.lengths.push(0);
  }
}

const Kind = { CREATE: 0, UPDATE: 1, DELETE: 2 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];
