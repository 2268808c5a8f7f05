// The events of one watch response, encoded once for all watchers of the range: what differs between
// them (no previous values, filters) is a variant, made when the first watcher needs it.
//
//   WatchResponse.events (field 11):  5a <length> Event
//   Event:     type 1 (0 put, 1 delete)   kv 2   prev_kv 3
//   KeyValue:  … mod_revision 3 …

import { varintSize, writeVarint } from '../../base/index.ts';
import { WireCursor } from '../calls/wire-cursor.ts';

const EVENTS_TAG = 0x5a;
const EVENT_TYPE = 1;
const EVENT_KV = 2;
const EVENT_PREV_KV = 3;
const KV_MOD_REVISION = 3;

/** What a watcher wants of events; combined by `|`. */
export const VARIANT = { PREV_KV: 1, NO_PUT: 2, NO_DELETE: 4 } as const;
const VARIANT_COUNT = 8;

/** Events as they are sent: encoded one after the other, ready to be copied. */
export class EventSlice {
  readonly bytes: Uint8Array;
  /** Where each event begins; after them, where the last one ends. */
  readonly offsets: readonly number[];
  /** Revisions of the events, ascending. */
  readonly revisions: readonly number[];

  constructor(bytes: Uint8Array, offsets: readonly number[], revisions: readonly number[]) {
    this.bytes = bytes;
    this.offsets = offsets;
    this.revisions = revisions;
  }

  get count(): number {
    return this.revisions.length;
  }

  /** Index of the first event at `revision` or later; `count` if there is none. */
  firstAt(revision: number): number {
    const { revisions } = this;
    let first = 0;
    while (first < revisions.length && revisions[first]! < revision) first++;
    return first;
  }
}

/** Events of one response. The revisions of a watch's runs ascend, and no two runs share one. */
export class EventRun {
  /** The response's header as an encoded field. */
  readonly header: Uint8Array;
  readonly firstRevision: number;
  readonly lastRevision: number;
  readonly #all: EventSlice;
  readonly #isDelete: readonly boolean[];
  /** Where each event's previous value begins, as a field of it; where it ends if it has none. */
  readonly #prevStarts: readonly number[];
  readonly #variants = new Array<EventSlice | undefined>(VARIANT_COUNT);

  /** `bytes` are fields 11 of a WatchResponse, at least one, and belong to the run from now on. */
  constructor(header: Uint8Array, bytes: Uint8Array) {
    this.header = header;
    const scan = scanEvents(bytes);
    this.#all = new EventSlice(bytes, scan.offsets, scan.revisions);
    this.#isDelete = scan.isDelete;
    this.#prevStarts = scan.prevStarts;
    this.firstRevision = scan.revisions[0]!;
    this.lastRevision = scan.revisions.at(-1)!;
    this.#variants[VARIANT.PREV_KV] = this.#all;
  }

  /** Where the first event of the last revision begins. */
  get lastRevisionStart(): number {
    return this.#all.offsets[this.#all.firstAt(this.lastRevision)]!;
  }

  get byteCount(): number {
    return this.#all.bytes.length;
  }

  /** The events as `variant` wants them. */
  slice(variant: number): EventSlice {
    let slice = this.#variants[variant];
    if (slice === undefined) {
      slice = this.#made(variant);
      this.#variants[variant] = slice;
    }
    return slice;
  }

  #made(variant: number): EventSlice {
    const withPrevious = (variant & VARIANT.PREV_KV) !== 0;
    const { bytes, offsets, revisions } = this.#all;
    const isPlain =
      withPrevious || revisions.every((_, i) => this.#prevStarts[i] === offsets[i + 1]);
    if (isPlain && (variant & (VARIANT.NO_PUT | VARIANT.NO_DELETE)) === 0) return this.#all;
    const kept = revisions.map((_, i) => i).filter((i) => !this.#isFiltered(i, variant));
    const target = new Uint8Array(bytes.length);
    const starts = [0];
    let at = 0;
    for (const i of kept) {
      const end = withPrevious ? offsets[i + 1]! : this.#prevStarts[i]!;
      at = copyEvent(bytes, offsets[i]!, end, target, at);
      starts.push(at);
    }
    // Not a view: what is left out may be the greater part.
    return new EventSlice(
      target.slice(0, at),
      starts,
      kept.map((i) => revisions[i]!),
    );
  }

  #isFiltered(i: number, variant: number): boolean {
    return (variant & (this.#isDelete[i]! ? VARIANT.NO_DELETE : VARIANT.NO_PUT)) !== 0;
  }
}

interface Scan {
  readonly offsets: number[];
  readonly revisions: number[];
  readonly isDelete: boolean[];
  readonly prevStarts: number[];
}

function scanEvents(bytes: Uint8Array): Scan {
  const scan: Scan = { offsets: [0], revisions: [], isDelete: [], prevStarts: [] };
  const cursor = new WireCursor(bytes, 0, bytes.length);
  while (cursor.next()) {
    let isDelete = false;
    let revision = 0;
    let prevStart = cursor.end;
    const event = new WireCursor(bytes, cursor.start, cursor.end);
    while (event.next()) {
      if (event.field === EVENT_TYPE) isDelete = event.value !== 0;
      else if (event.field === EVENT_KV) revision = modRevision(bytes, event.start, event.end);
      // It is the last field, as every encoder writes it.
      else if (event.field === EVENT_PREV_KV) prevStart = event.fieldStart;
    }
    scan.offsets.push(cursor.end);
    scan.revisions.push(revision);
    scan.isDelete.push(isDelete);
    scan.prevStarts.push(prevStart);
  }
  return scan;
}

function modRevision(bytes: Uint8Array, start: number, end: number): number {
  const cursor = new WireCursor(bytes, start, end);
  while (cursor.next()) if (cursor.field === KV_MOD_REVISION) return cursor.value;
  return 0;
}

/** Copies the event whose field begins at `start`, up to `end`; the offset after it. */
function copyEvent(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  const cursor = new WireCursor(bytes, start, bytes.length);
  cursor.next();
  const length = end - cursor.start;
  target[offset] = EVENTS_TAG;
  const at = writeVarint(length, target, offset + 1);
  target.set(bytes.subarray(cursor.start, end), at);
  return offset + 1 + varintSize(length) + length;
}
