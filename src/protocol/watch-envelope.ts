// The fields of a WatchResponse between its header and its events, for those that encode many responses
// around events which are encoded once.
//
//   header 1, watch_id 2, created 3, canceled 4, compact_revision 5, cancel_reason 6, fragment 7, events 11 *
//
// Hot: once per watcher and response.

import { EMPTY_BYTES, utf8Length, varintSize, writeUtf8, writeVarint } from '../base/index.ts';
import { putBig, sizeOfBig } from './wire/writer.ts';

const TAG_WATCH_ID = 0x10;
const TAG_CREATED = 0x18;
const TAG_CANCELED = 0x20;
const TAG_COMPACT_REVISION = 0x28;
const TAG_CANCEL_REASON = 0x32;
const TAG_FRAGMENT = 0x38;

/** The `watch_id` field, ready to be copied; empty for id 0. */
export function watchIdField(id: bigint): Uint8Array {
  if (id === 0n) return EMPTY_BYTES;
  const unsigned = BigInt.asUintN(64, id);
  const field = new Uint8Array(1 + sizeOfBig(unsigned));
  field[0] = TAG_WATCH_ID;
  putBig(unsigned, field, field.length);
  return field;
}

/** Those fields of one response. May be reused when it is encoded. */
export class WatchEnvelope {
  /** Of {@link watchIdField}. */
  idField: Uint8Array = EMPTY_BYTES;
  created = false;
  canceled = false;
  /** 0 unless the watcher is canceled because of a compaction. */
  compactRevision = 0;
  cancelReason = '';
  fragment = false;

  /** Back to an envelope that says nothing but whose it is. */
  resetEnvelope(idField: Uint8Array): void {
    this.idField = idField;
    this.created = false;
    this.canceled = false;
    this.compactRevision = 0;
    this.cancelReason = '';
    this.fragment = false;
  }

  envelopeSize(): number {
    let size = this.idField.length;
    if (this.created) size += 2;
    if (this.canceled) size += 2;
    if (this.fragment) size += 2;
    if (this.compactRevision !== 0) size += 1 + varintSize(this.compactRevision);
    if (this.cancelReason !== '') {
      const length = utf8Length(this.cancelReason);
      size += 1 + varintSize(length) + length;
    }
    return size;
  }

  /** Writes {@link envelopeSize} bytes at `offset`; returns the offset after them. */
  writeEnvelope(target: Uint8Array, offset: number): number {
    const { idField, compactRevision, cancelReason } = this;
    let at = offset;
    for (let i = 0; i < idField.length; i++) target[at++] = idField[i]!;
    if (this.created) at = writeTrue(TAG_CREATED, target, at);
    if (this.canceled) at = writeTrue(TAG_CANCELED, target, at);
    if (compactRevision !== 0) {
      target[at] = TAG_COMPACT_REVISION;
      at = writeVarint(compactRevision, target, at + 1);
    }
    if (cancelReason !== '') {
      target[at] = TAG_CANCEL_REASON;
      at = writeVarint(utf8Length(cancelReason), target, at + 1);
      at = writeUtf8(cancelReason, target, at);
    }
    return this.fragment ? writeTrue(TAG_FRAGMENT, target, at) : at;
  }
}

function writeTrue(tag: number, target: Uint8Array, offset: number): number {
  target[offset] = tag;
  target[offset + 1] = 1;
  return offset + 2;
}
