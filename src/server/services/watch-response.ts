// A watch response: an envelope per watcher, followed by events that were encoded once for all.
//
//   header 1, watch_id 2, created 3, canceled 4, compact_revision 5, cancel_reason 6, fragment 7, events 11 *
//
// Hot: once per watcher and batch.

import {
  EMPTY_BYTES,
  type Revision,
  utf8Length,
  varintSize,
  writeUtf8,
  writeVarint,
} from '../../base/index.ts';
import type { Encoder } from '../../grpc/index.ts';
import type { EventBatch } from '../../mvcc/index.ts';
import { putBig, sizeOfBig } from '../../protocol/index.ts';
import type { ResponseHeaders } from './response-header.ts';

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

/** One response; reused, since it is encoded before the next one is made. */
export class WatchResponse {
  revision: Revision = 0;
  idField: Uint8Array = EMPTY_BYTES;
  created = false;
  canceled = false;
  /** 0 unless the watcher is canceled because of a compaction. */
  compactRevision: Revision = 0;
  cancelReason = '';
  fragment = false;
  batch: EventBatch | undefined = undefined;
  /** Which of the batch's events, and their bytes. */
  from = 0;
  to = 0;
  eventBytes = 0;

  /** Back to a response without content. */
  reset(revision: Revision, idField: Uint8Array): this {
    this.revision = revision;
    this.idField = idField;
    this.created = false;
    this.canceled = false;
    this.compactRevision = 0;
    this.cancelReason = '';
    this.fragment = false;
    this.batch = undefined;
    this.eventBytes = 0;
    return this;
  }
}

export function watchEncoder(header: ResponseHeaders): Encoder<WatchResponse> {
  return {
    size: (response) => envelopeSize(header, response) + response.eventBytes,
    write: (response, target, offset) => {
      const at = writeEnvelope(header, response, target, offset);
      const { batch, from, to } = response;
      return batch === undefined ? at : batch.write(target, at, from, to);
    },
  };
}

function envelopeSize(header: ResponseHeaders, response: WatchResponse): number {
  let size = header.size(response.revision) + response.idField.length;
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

function writeEnvelope(
  header: ResponseHeaders,
  response: WatchResponse,
  target: Uint8Array,
  offset: number,
): number {
  let at = header.write(response.revision, target, offset);
  const { idField } = response;
  for (let i = 0; i < idField.length; i++) target[at++] = idField[i]!;
  if (response.created) at = writeTrue(TAG_CREATED, target, at);
  if (response.canceled) at = writeTrue(TAG_CANCELED, target, at);
  if (response.compactRevision !== 0) {
    target[at] = TAG_COMPACT_REVISION;
    at = writeVarint(response.compactRevision, target, at + 1);
  }
  if (response.cancelReason !== '') {
    target[at] = TAG_CANCEL_REASON;
    at = writeVarint(utf8Length(response.cancelReason), target, at + 1);
    at = writeUtf8(response.cancelReason, target, at);
  }
  return response.fragment ? writeTrue(TAG_FRAGMENT, target, at) : at;
}

function writeTrue(tag: number, target: Uint8Array, offset: number): number {
  target[offset] = tag;
  target[offset + 1] = 1;
  return offset + 2;
}
