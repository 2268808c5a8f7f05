// The changes of one revision, in order: what watchers get.

import { invariant } from '../../base/index.ts';
import { WATCH_NOTIFY_CHANGES_MAX } from '../limits.ts';
import type { SplitRow } from '../split-row.ts';
import type { ByteSlice } from '../types.ts';

/** Places kept for the next revision; those beyond are given back. */
const PLACES_KEPT = 128;

/**
 * Parallel arrays; sub revision i is change i. One list serves one revision after the other: arrays made for
 * each put would be the largest part of its garbage. Beyond WATCH_NOTIFY_CHANGES_MAX changes are only
 * counted, since watchers get such a revision from the store.
 */
export class ChangeList {
  #size = 0;
  #keys: string[] = [];
  #kinds: Kind[] = [];
  #buffers: (Uint8Array | SplitRow | undefined)[] = [];
  #offsets: number[] = [];
  #lengths: number[] = [];

  get size(): number {
    return this.#size;
  }

  /** Whether every change can be asked for. */
  get isWhole(): boolean {
    return this.#size <= WATCH_NOTIFY_CHANGES_MAX;
  }

  keyAt(at: number): string {
    return this.#keys[at]!;
  }

  isDelete(at: number): boolean {
    return this.#kinds[at] === Kind.DELETE;
  }

  /** Whether the change put a key that did not exist: there is no pair before it. */
  isCreate(at: number): boolean {
    return this.#kinds[at] === Kind.CREATE;
  }

  /** Where the encoded KeyValue of a put lies, or all of it in pieces; undefined for a deletion. */
  bufferAt(at: number): Uint8Array | SplitRow | undefined {
    return this.#buffers[at];
  }

  offsetAt(at: number): number {
    return this.#offsets[at]!;
  }

  lengthAt(at: number): number {
    return this.#lengths[at]!;
  }

  /** Begins the list of another revision. */
  clear(): void {
    if (this.#size > PLACES_KEPT) {
      this.#keys = [];
      this.#kinds = [];
      this.#buffers = [];
      this.#offsets = [];
      this.#lengths = [];
    }
    this.#size = 0;
  }

  addPut(key: string, creates: boolean, row: ByteSlice): void {
    const kind = creates ? Kind.CREATE : Kind.UPDATE;
    this.#add(key, kind, row.buffer, row.offset, row.length);
  }

  addSplitPut(key: string, creates: boolean, row: SplitRow): void {
    this.#add(key, creates ? Kind.CREATE : Kind.UPDATE, row, 0, row.length);
  }

  addDelete(key: string): void {
    this.#add(key, Kind.DELETE, undefined, 0, 0);
  }

  /** Counts the deletions of a revision that deletes more keys than are listed, and does nothing else. */
  countDeletes(count: number): void {
    invariant(
      this.#size === 0 && count > WATCH_NOTIFY_CHANGES_MAX,
      'what is not listed is counted',
    );
    this.#size = count;
  }

  #add(
    key: string,
    kind: Kind,
    buffer: Uint8Array | SplitRow | undefined,
    offset: number,
    length: number,
  ): void {
    const at = this.#size++;
    if (at >= WATCH_NOTIFY_CHANGES_MAX) return;
    this.#keys[at] = key;
    this.#kinds[at] = kind;
    this.#buffers[at] = buffer;
    this.#offsets[at] = offset;
    this.#lengths[at] = length;
  }
}

const Kind = { CREATE: 0, UPDATE: 1, DELETE: 2 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];
