// Watch responses of the proxy: an envelope for each watcher, before events that are shared.
//
// Hot: once per watcher and response.

import { copyBytes, EMPTY_BYTES } from '../../base/index.ts';
import type { Encoder } from '../../grpc/index.ts';
import { WatchEnvelope } from '../../protocol/index.ts';

/** A header without content, as an encoded field: clients take for granted that there is one. */
export const EMPTY_HEADER: Uint8Array = Uint8Array.of(0x0a, 0);

/** One response; reused, since it is encoded before the next one is made. */
export class WatchResponse extends WatchEnvelope {
  header: Uint8Array = EMPTY_BYTES;
  /** Events: those of `bytes` from `start` to `end`. */
  bytes: Uint8Array = EMPTY_BYTES;
  start = 0;
  end = 0;

  /** Back to a response without content. */
  reset(header: Uint8Array, idField: Uint8Array): this {
    this.resetEnvelope(idField);
    this.header = header;
    this.bytes = EMPTY_BYTES;
    this.start = 0;
    this.end = 0;
    return this;
  }
}

export const WATCH_RESPONSE_ENCODER: Encoder<WatchResponse> = {
  size: (response) =>
    response.header.length + response.envelopeSize() + response.end - response.start,
  write: (response, target, offset) => {
    const { header, bytes, start, end } = response;
    copyBytes(header, 0, header.length, target, offset);
    const at = response.writeEnvelope(target, offset + header.length);
    copyBytes(bytes, start, end - start, target, at);
    return at + end - start;
  },
};
