// A watch response: an envelope per watcher, followed by events that were encoded once for all.
//
// Hot: once per watcher and batch.

import type { Revision } from '../../base/index.ts';
import type { Encoder } from '../../grpc/index.ts';
import type { EventBatch } from '../../mvcc/index.ts';
import { WatchEnvelope } from '../../protocol/index.ts';
import type { ResponseHeaders } from './response-header.ts';

/** One response; reused, since it is encoded before the next one is made. */
export class WatchResponse extends WatchEnvelope {
  revision: Revision = 0;
  batch: EventBatch | undefined = undefined;
  /** Which of the batch's events, and their bytes. */
  from = 0;
  to = 0;
  eventBytes = 0;

  /** Back to a response without content. */
  reset(revision: Revision, idField: Uint8Array): this {
    this.resetEnvelope(idField);
    this.revision = revision;
    this.batch = undefined;
    this.eventBytes = 0;
    return this;
  }

  /** Back to a response of all events of a batch. */
  resetBatch(idField: Uint8Array, batch: EventBatch): this {
    this.reset(batch.revision, idField);
    this.batch = batch;
    this.from = 0;
    this.to = batch.size;
    this.eventBytes = batch.byteCount();
    return this;
  }
}

export function watchEncoder(header: ResponseHeaders): Encoder<WatchResponse> {
  return {
    size: (response) =>
      header.size(response.revision) + response.envelopeSize() + response.eventBytes,
    write: (response, target, offset) => {
      const at = response.writeEnvelope(target, header.write(response.revision, target, offset));
      const { batch, from, to } = response;
      return batch === undefined ? at : batch.write(target, at, from, to);
    },
  };
}
