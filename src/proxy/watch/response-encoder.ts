// Watch responses of the proxy: an envelope for each watcher, before events that are shared.
//
//   header 1, watch_id 2, created 3, canceled 4, compact_revision 5, cancel_reason 6, fragment 7, events 11 *
//
// Hot: once per watcher and response.

import { EMPTY_BYTES, utf8Length, varintSize, writeUtf8, writeVarint } from '../../base/index.ts';
import type { Encoder } from '../../grpc/index.ts';
import { putBig, sizeOfBig } from '../../protocol/index.ts';

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

/** A header without content, as an encoded field: clients take for granted that there is one. */
export const EMPTY_HEADER: Uint8Array = Uint8Array.of(0x0a, 0);

/** One response; reused, since it is encoded before the next one is made. */
export class WatchResponse {
  header: Uint8Array = EMPTY_BYTES;
  idField: Uint8Array = EMPTY_BYTES;
  created = false;
  canceled = false;
  /** 0 unless the watcher is canceled because of a compaction. */
  compactRevision = 0;
  cancelReason = '';
  fragment = false;
  /** Events: those of `bytes` from `start` to `end`. */
  bytes: Uint8Array = EMPTY_BYTES;
  start = 0;
  end = 0;

  /** Back to a response without content. */
  reset(header: Uint8Array, idField: Uint8Array): this {
    this.header = header;
    this.idField = idField;
    this.created = false;
    this.canceled = false;
    this.compactRevision = 0;
    this.cancelReason = '';
    this.fragment = false;
    this.bytes = EMPTY_BYTES;
    this.start = 0;
    this.end = 0;
    return this;
  }
}

export const WATCH_RESPONSE_ENCODER: Encoder<WatchResponse> = {
  size: (response) => envelopeSize(response) + response.end - response.start,
  write: (response, target, offset) => {
    const at = writeEnvelope(response, target, offset);
    const { bytes, start, end } = response;
    return end === start ? at : copy(bytes, start, end, target, at);
  },
};

function envelopeSize(response: WatchResponse): number {
  let size = response.header.length + response.idField.length;
  if (response.created) size += 2;
  if (response.canceled) size += 2;
  if (response.fragment) size += 2;
  if (response.compactRevision !== 0) size += 1 + varintSize(response.compactRevision);
  if (response.cancelReason !== '') {
    const length = utf8Length(response.cancelReason);
    size += 1 + varintSize(length) + length;
  }
  return size;
}

function writeEnvelope(response: WatchResponse, target: Uint8Array, offset: number): number {
  const { header, idField, compactRevision, cancelReason } = response;
  let at = copy(header, 0, header.length, target, offset);
  at = copy(idField, 0, idField.length, target, at);
  if (response.created) at = writeTrue(TAG_CREATED, target, at);
  if (response.canceled) at = writeTrue(TAG_CANCELED, target, at);
  if (compactRevision !== 0) {
    target[at] = TAG_COMPACT_REVISION;
    at = writeVarint(compactRevision, target, at + 1);
  }
  if (cancelReason !== '') {
    target[at] = TAG_CANCEL_REASON;
    at = writeVarint(utf8Length(cancelReason), target, at + 1);
    at = writeUtf8(cancelReason, target, at);
  }
  return response.fragment ? writeTrue(TAG_FRAGMENT, target, at) : at;
}

/** A view made for `set` would cost more than the loop does for what is short. */
const SHORT_BYTES = 64;

function copy(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  if (end - start > SHORT_BYTES) target.set(bytes.subarray(start, end), offset);
  else for (let i = start; i < end; i++) target[offset + i - start] = bytes[i]!;
  return offset + end - start;
}

function writeTrue(tag: number, target: Uint8Array, offset: number): number {
  target[offset] = tag;
  target[offset + 1] = 1;
  return offset + 2;
}
