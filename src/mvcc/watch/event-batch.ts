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

/** An encoded event: `buffer[offset, offset + length)`, which never changes. */
class EncodedEvent {
  readonly buffer: Uint8Array;
  readonly offset: number;
  readonly length: number;

  constructor(buffer: Uint8Array, offset: number, length: number) {
    this.buffer = buffer;
    this.offset = offset;
    this.length = length;
  }
}

/** A change of a key, and its events once they are encoded. Windows may share it. */
export class Change {
  readonly key: string;
  readonly main: Revision;
  readonly deletion: boolean;
  /** Whether the key did not exist before: there is no previous pair. */
  readonly creation: boolean;
  /** The encoded KeyValue of a put; of a deletion, an empty place. */
  readonly buffer: Uint8Array | SplitRow;
  readonly offset: number;
  readonly length: number;
  plain: EncodedEvent | undefined = undefined;
  withPrevious: EncodedEvent | undefined = undefined;

  constructor(
    key: string,
    main: Revision,
    deletion: boolean,
    creation: boolean,
    buffer: Uint8Array | SplitRow,
    offset: number,
    length: number,
  ) {
    this.key = key;
    this.main = main;
    this.deletion = deletion;
    this.creation = creation;
    this.buffer = buffer;
    this.offset = offset;
    this.length = length;
  }
}

const state = new KeyState();
const previous = new ByteSlice();

export class EventWindow {
  /** In order of their revisions. */
  readonly changes: Change[] = [];
  #arena: Uint8Array = EMPTY_BYTES;
  #arenaUsed = 0;
  /** Bytes of the pairs that were put. */
  byteCount = 0;

  get size(): number {
    return this.changes.length;
  }

  /** Main revision of the last change. */
  get lastMain(): Revision {
    return this.changes[this.changes.length - 1]?.main ?? 0;
  }

  add(change: Change): void {
    this.changes.push(change);
    this.byteCount += change.length;
  }

  /** Adds all changes of one revision; the list may be cleared afterwards. */
  addChanges(main: Revision, changes: ChangeList): void {
    invariant(changes.isWhole, 'a revision of many changes is left to passes');
    for (let i = 0; i < changes.size; i++) {
      const change = new Change(
        changes.keyAt(i),
        main,
        changes.isDelete(i),
        changes.isCreate(i),
        changes.bufferAt(i) ?? EMPTY_BYTES,
        changes.offsetAt(i),
        changes.lengthAt(i),
      );
      this.add(change);
    }
  }

  /** Encodes a change if it was not yet; the view finds the previous pair. */
  encode(at: number, withPrevious: boolean, view: ReadView): void {
    const change = this.changes[at]!;
    if (!withPrevious) change.plain ??= this.#encode(change, 0);
    else if (change.withPrevious === undefined) {
      const length = findPrevious(change, view);
      if (length > 0) change.withPrevious = this.#encode(change, length);
      else change.withPrevious = change.plain ??= this.#encode(change, 0);
    }
  }

  /** With the previous pair that `previous` points at, unless its length is 0. */
  #encode(change: Change, previousLength: number): EncodedEvent {
    const kvLength = kvLengthOf(change);
    const typeLength = change.deletion ? 2 : 0;
    const eventLength = typeLength + fieldLength(kvLength) + fieldLength(previousLength);
    const total = fieldLength(eventLength);
    const offset = this.#reserve(total);
    const target = this.#arena;
    target[offset] = TAG_EVENTS;
    let end = writeVarint(eventLength, target, offset + 1);
    if (change.deletion) {
      target[end++] = TAG_TYPE;
      target[end++] = TYPE_DELETE;
    }
    target[end] = TAG_KV;
    end = writeKv(change, target, writeVarint(kvLength, target, end + 1));
    if (previousLength > 0) {
      target[end] = TAG_PREV_KV;
      end = writeVarint(previousLength, target, end + 1);
      const { buffer, offset: from } = previous;
      target.set(buffer.subarray(from, from + previousLength), end);
    }
    return new EncodedEvent(target, offset, total);
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

/** Points `previous` at the pair before a change; returns its length, 0 if there is none. */
function findPrevious({ key, main, creation }: Change, view: ReadView): number {
  const before = main - 1;
  if (creation || before < view.compactedRev) return 0;
  if (!view.index.get(key, before, state)) return 0;
  view.rows.readRow(state.modMain, state.modSub, previous);
  return previous.length;
}

/** Bytes of the pair in the event: a deletion's has only the key and the revision. */
function kvLengthOf({ key, main, deletion, length }: Change): number {
  return deletion ? sizeOfKeyField(key) + 1 + sizeOfUint(main) : length;
}

function writeKv(change: Change, target: Uint8Array, at: number): number {
  if (change.deletion) {
    const end = writeKeyField(change.key, target, at);
    target[end] = TAG_MOD_REVISION;
    return writeVarint(change.main, target, end + 1);
  }
  const { buffer, offset, length } = change;
  if (buffer instanceof SplitRow) return buffer.write(target, at);
  target.set(buffer.subarray(offset, offset + length), at);
  return at + length;
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
  readonly #numbers: readonly number[];
  readonly #changes: readonly Change[];
  readonly #withPrevious: boolean;
  #bytes: Uint8Array | undefined;
  /** Where the event of each change begins in the bytes, and where the last one ends. */
  #starts: readonly number[] = [];

  constructor(window: EventWindow, numbers: readonly number[], withPrevious: boolean) {
    this.#numbers = numbers;
    this.#changes = window.changes;
    this.#withPrevious = withPrevious;
  }

  get size(): number {
    return this.#numbers.length;
  }

  #at(index: number): Change {
    return this.#changes[this.#numbers[index]!]!;
  }

  /** How many of the changes are of revisions before this one. */
  countBefore(main: Revision): number {
    if (this.#at(0).main >= main) return 0;
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#at(middle).main < main) low = middle + 1;
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
    const starts = [0];
    let total = 0;
    for (let i = 0; i < this.size; i++) {
      total += this.#eventAt(i).length;
      starts.push(total);
    }
    this.#starts = starts;
    if (this.size === 1) return bytesOf(this.#eventAt(0));
    const bytes = new Uint8Array(total);
    for (let i = 0; i < this.size; i++) bytes.set(bytesOf(this.#eventAt(i)), starts[i]!);
    return bytes;
  }

  #eventAt(index: number): EncodedEvent {
    const change = this.#at(index);
    const event = this.#withPrevious ? change.withPrevious : change.plain;
    invariant(event !== undefined, 'events are encoded before they are joined');
    return event;
  }
}

function bytesOf({ buffer, offset, length }: EncodedEvent): Uint8Array {
  return buffer.subarray(offset, offset + length);
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
    return this.#events.size - this.first;
  }

  /** All its events, tags and lengths included; the bytes never change any more. */
  get bytes(): Uint8Array {
    this.#bytes ??= this.#events.bytes.subarray(this.#events.startOf(this.first));
    return this.#bytes;
  }

  /** Bytes of all its events, or of some, tags and lengths included. */
  byteCount(from = 0, to = this.size): number {
    const { first } = this;
    return this.#events.startOf(first + to) - this.#events.startOf(first + from);
  }

  /** Writes all events, or some, at `offset`; the caller made room. Returns the offset after. */
  write(target: Uint8Array, offset: number, from = 0, to = this.size): number {
    if (from === 0 && to === this.size) {
      target.set(this.bytes, offset);
      return offset + this.bytes.length;
    }
    const start = this.#events.startOf(this.first + from);
    const end = this.#events.startOf(this.first + to);
    target.set(this.#events.bytes.subarray(start, end), offset);
    return offset + end - start;
  }
}
