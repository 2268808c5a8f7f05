// Events on their way to watchers.
//
// A window holds the changes of one or more whole revisions, in order. What is offered to a watcher
// is a batch: the numbers of the changes that it wants to see. Each change is encoded once in a
// window (and once more with the previous pair, if a watcher asks for it), as the field `events` of a
// WatchResponse, tag and length included, so that a response is an envelope followed by those bytes:
//
//   5a <length of event>  08 01 (only a deletion)  12 <length> KeyValue  1a <length> previous KeyValue
//
// Example, put of "k" = "v" at 2:  5a 0e  12 0c  0a 01 6b 10 02 18 02 20 01 2a 01 76

import { EMPTY_BYTES, invariant, type Revision, writeVarint } from '../../base/index.ts';
import { sizeOfUint } from '../../protocol/index.ts';
import type { ReadView } from '../eval/range.ts';
import type { ChangeList } from '../index/change-list.ts';
import { sizeOfKeyField, writeKeyField } from '../key-value.ts';
import { SplitRow } from '../split-row.ts';
import { ByteSlice, KeyState } from '../types.ts';

const TAG_EVENTS = 0x5a;
const TAG_TYPE = 0x08;
const TYPE_DELETE = 1;
const TAG_KV = 0x12;
const TAG_PREV_KV = 0x1a;
const TAG_MOD_REVISION = 0x18;

/** Bytes of a buffer that encoded events share. */
const ARENA_BYTES = 4096;

/** Encoded events, one per change; a length of 0 means not encoded yet. */
class EncodedEvents {
  readonly buffers: Uint8Array[] = [];
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];

  addPlace(): void {
    this.buffers.push(EMPTY_BYTES);
    this.offsets.push(0);
    this.lengths.push(0);
  }
}

const state = new KeyState();
const previous = new ByteSlice();

export class EventWindow {
  readonly keys: string[] = [];
  readonly mains: Revision[] = [];
  readonly deletions: boolean[] = [];
  /** Whether the key did not exist before: there is no previous pair. */
  readonly creations: boolean[] = [];
  /** The encoded KeyValue of a put; of a deletion, an empty place. */
  readonly buffers: (Uint8Array | SplitRow)[] = [];
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];

  readonly plain: EncodedEvents = new EncodedEvents();
  readonly withPrevious: EncodedEvents = new EncodedEvents();

  #arena: Uint8Array = EMPTY_BYTES;
  #arenaUsed = 0;
  /** Bytes of the pairs that were put. */
  byteCount = 0;

  get size(): number {
    return this.keys.length;
  }

  /** Main revision of the last change. */
  get lastMain(): Revision {
    return this.mains[this.mains.length - 1] ?? 0;
  }

  add(
    key: string,
    main: Revision,
    deletion: boolean,
    creation: boolean,
    buffer: Uint8Array | SplitRow,
    offset: number,
    length: number,
  ): void {
    this.keys.push(key);
    this.mains.push(main);
    this.deletions.push(deletion);
    this.creations.push(creation);
    this.buffers.push(buffer);
    this.offsets.push(offset);
    this.lengths.push(length);
    this.plain.addPlace();
    this.withPrevious.addPlace();
    this.byteCount += length;
  }

  /** Adds all changes of one revision; the list may be cleared afterwards. */
  addChanges(main: Revision, changes: ChangeList): void {
    invariant(changes.isWhole, 'a revision of many changes is left to passes');
    for (let i = 0; i < changes.size; i++) {
      this.add(
        changes.keyAt(i),
        main,
        changes.isDelete(i),
        changes.isCreate(i),
        changes.bufferAt(i) ?? EMPTY_BYTES,
        changes.offsetAt(i),
        changes.lengthAt(i),
      );
    }
  }

  /** Encodes a change if it was not yet; the view finds the previous pair. */
  encode(at: number, withPrevious: boolean, view: ReadView): void {
    const encoded = withPrevious ? this.withPrevious : this.plain;
    if (encoded.lengths[at] !== 0) return;
    const previousLength = withPrevious ? this.#findPrevious(at, view) : 0;
    if (withPrevious && previousLength === 0) {
      this.encode(at, false, view);
      encoded.buffers[at] = this.plain.buffers[at]!;
      encoded.offsets[at] = this.plain.offsets[at]!;
      encoded.lengths[at] = this.plain.lengths[at]!;
      return;
    }
    const kvLength = this.#kvLength(at);
    const typeLength = this.deletions[at] ? 2 : 0;
    const eventLength = typeLength + fieldLength(kvLength) + fieldLength(previousLength);
    const total = fieldLength(eventLength);
    const offset = this.#reserve(total);
    const target = this.#arena;
    target[offset] = TAG_EVENTS;
    let end = writeVarint(eventLength, target, offset + 1);
    if (this.deletions[at]) {
      target[end++] = TAG_TYPE;
      target[end++] = TYPE_DELETE;
    }
    target[end] = TAG_KV;
    end = this.#writeKv(at, target, writeVarint(kvLength, target, end + 1));
    if (previousLength > 0) {
      target[end] = TAG_PREV_KV;
      end = writeVarint(previousLength, target, end + 1);
      const { buffer, offset: from } = previous;
      target.set(buffer.subarray(from, from + previousLength), end);
    }
    encoded.buffers[at] = target;
    encoded.offsets[at] = offset;
    encoded.lengths[at] = total;
  }

  /** Points `previous` at the pair before a change; returns its length, 0 if there is none. */
  #findPrevious(at: number, view: ReadView): number {
    const before = this.mains[at]! - 1;
    if (this.creations[at] || before < view.compactedRev) return 0;
    if (!view.index.get(this.keys[at]!, before, state)) return 0;
    view.rows.readRow(state.modMain, state.modSub, previous);
    return previous.length;
  }

  /** Bytes of the pair in the event: a deletion's has only the key and the revision. */
  #kvLength(at: number): number {
    if (!this.deletions[at]) return this.lengths[at]!;
    return sizeOfKeyField(this.keys[at]!) + 1 + sizeOfUint(this.mains[at]!);
  }

  #writeKv(at: number, target: Uint8Array, offset: number): number {
    if (this.deletions[at]) {
      const end = writeKeyField(this.keys[at]!, target, offset);
      target[end] = TAG_MOD_REVISION;
      return writeVarint(this.mains[at]!, target, end + 1);
    }
    const buffer = this.buffers[at]!;
    if (buffer instanceof SplitRow) return buffer.write(target, offset);
    const from = this.offsets[at]!;
    const length = this.lengths[at]!;
    target.set(buffer.subarray(from, from + length), offset);
    return offset + length;
  }

  /** Room for `length` bytes in the arena; returns where. */
  #reserve(length: number): number {
    if (this.#arenaUsed + length > this.#arena.length) {
      this.#arena = new Uint8Array(Math.max(length, this.size > 1 ? ARENA_BYTES : 0));
      this.#arenaUsed = 0;
    }
    const offset = this.#arenaUsed;
    this.#arenaUsed += length;
    return offset;
  }
}

/** Bytes of a length-delimited field, 0 if it is left out. */
function fieldLength(length: number): number {
  return length === 0 ? 0 : 1 + sizeOfUint(length) + length;
}

/**
 * The changes of a window that a group of watchers wants to see, in order, all of them encoded. Their events
 * lie one after the other, copied together once: what a watcher is offered is the end of them.
 */
export class GroupEvents {
  /** Numbers of the changes in the window, ascending; never empty. */
  readonly changes: readonly number[];
  readonly #window: EventWindow;
  readonly #encoded: EncodedEvents;
  #bytes: Uint8Array | undefined;
  /** Where the event of each change begins in the bytes, and where the last one ends. */
  #starts: readonly number[] = [];

  constructor(window: EventWindow, changes: readonly number[], withPrevious: boolean) {
    this.changes = changes;
    this.#window = window;
    this.#encoded = withPrevious ? window.withPrevious : window.plain;
  }

  /** How many of the changes are of revisions before this one. */
  countBefore(main: Revision): number {
    const { changes } = this;
    const { mains } = this.#window;
    if (mains[changes[0]!]! >= main) return 0;
    let low = 0;
    let high = changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (mains[changes[middle]!]! < main) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get bytes(): Uint8Array {
    this.#bytes ??= this.#join();
    return this.#bytes;
  }

  /** Offset in {@link bytes} of an event, or the end of the last one. */
  startOf(index: number): number {
    this.#bytes ??= this.#join();
    return this.#starts[index]!;
  }

  #join(): Uint8Array {
    const { buffers, offsets, lengths } = this.#encoded;
    const { changes } = this;
    const starts = [0];
    let total = 0;
    for (const change of changes) {
      total += lengths[change]!;
      starts.push(total);
    }
    this.#starts = starts;
    const first = changes[0]!;
    if (changes.length === 1) return slice(buffers[first]!, offsets[first]!, total);
    const bytes = new Uint8Array(total);
    let at = 0;
    for (const change of changes) {
      const length = lengths[change]!;
      bytes.set(slice(buffers[change]!, offsets[change]!, length), at);
      at += length;
    }
    return bytes;
  }
}

function slice(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  return bytes.subarray(offset, offset + length);
}

/** What one watcher is offered: the events of its group, or those from some revision on. */
export class EventBatch {
  /** Revision for the response's header: the newest one when the batch was made. */
  readonly revision: Revision;
  /** Index of its first event in the group's. */
  readonly first: number;
  readonly #events: GroupEvents;
  #bytes: Uint8Array | undefined;

  constructor(revision: Revision, events: GroupEvents, first: number) {
    this.revision = revision;
    this.first = first;
    this.#events = events;
  }

  /** Events in it; never 0. */
  get size(): number {
    return this.#events.changes.length - this.first;
  }

  /** Bytes of all its events, or of some, tags and lengths included. */
  byteCount(from = 0, to = this.size): number {
    const { first } = this;
    return this.#events.startOf(first + to) - this.#events.startOf(first + from);
  }

  /** Writes all events, or some, at `offset`; the caller made room. Returns the offset after. */
  write(target: Uint8Array, offset: number, from = 0, to = this.size): number {
    if (from === 0 && to === this.size) {
      this.#bytes ??= this.#events.bytes.subarray(this.#events.startOf(this.first));
      target.set(this.#bytes, offset);
      return offset + this.#bytes.length;
    }
    const start = this.#events.startOf(this.first + from);
    const end = this.#events.startOf(this.first + to);
    target.set(this.#events.bytes.subarray(start, end), offset);
    return offset + end - start;
  }
}
