// A watch response of the cluster, as it is handed on: the envelope as values, the events as bytes.

import { EMPTY_BYTES, utf8FromBytes } from '../../base/index.ts';
import { WireCursor } from '../calls/wire-cursor.ts';

const HEADER = 1;
const WATCH_ID = 2;
const CREATED = 3;
const CANCELED = 4;
const COMPACT_REVISION = 5;
const CANCEL_REASON = 6;
const FRAGMENT = 7;
const EVENTS = 11;
const HEADER_REVISION = 3;

/** Beyond every id: a varint of ten bytes, as -1 is encoded. */
const NEGATIVE = 2 ** 63;

export class WatchFrame {
  /** The header as an encoded field; empty without one. */
  header: Uint8Array = EMPTY_BYTES;
  /** Of the header. */
  revision = 0;
  /** -1: for no watch in particular. */
  watchId = 0;
  created = false;
  canceled = false;
  compactRevision = 0;
  cancelReason = '';
  /** There is more of the response to come. */
  fragment = false;
  /** Encoded fields, copied; empty without events. */
  events: Uint8Array = EMPTY_BYTES;

  /** What the frame holds is copied. MALFORMED for what is no watch response. */
  constructor(bytes: Uint8Array) {
    const cursor = new WireCursor(bytes, 0, bytes.length);
    let eventsStart = 0;
    let eventsEnd = 0;
    while (cursor.next()) {
      switch (cursor.field) {
        case HEADER:
          this.header = copyOf(bytes, cursor.fieldStart, cursor.end);
          this.revision = revisionOf(bytes, cursor.start, cursor.end);
          break;
        case WATCH_ID:
          this.watchId = cursor.value >= NEGATIVE ? -1 : cursor.value;
          break;
        case CREATED:
          this.created = cursor.value !== 0;
          break;
        case CANCELED:
          this.canceled = cursor.value !== 0;
          break;
        case COMPACT_REVISION:
          this.compactRevision = cursor.value;
          break;
        case CANCEL_REASON:
          this.cancelReason = utf8FromBytes(bytes, cursor.start, cursor.end);
          break;
        case FRAGMENT:
          this.fragment = cursor.value !== 0;
          break;
        case EVENTS:
          // They follow each other: it is the last field.
          if (eventsEnd === 0) eventsStart = cursor.fieldStart;
          eventsEnd = cursor.end;
          break;
      }
    }
    if (eventsEnd > 0) this.events = copyOf(bytes, eventsStart, eventsEnd);
  }
}

function revisionOf(bytes: Uint8Array, start: number, end: number): number {
  const cursor = new WireCursor(bytes, start, end);
  while (cursor.next()) if (cursor.field === HEADER_REVISION) return cursor.value;
  return 0;
}

/** `slice` of a Buffer would be a view of what the next read overwrites. */
function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}
