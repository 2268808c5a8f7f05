// A consistent copy of the whole file while commits go on: the pages of the pinned commit cannot
// change; what else lies between them is copied as it comes.

import { invariant } from '../../base/index.ts';
import { encodeMeta, type Meta } from '../file/meta.ts';
import type { Pager } from '../file/pager.ts';
import { TRANSFER_BYTES_MAX } from '../limits.ts';

/**
 * The database at `meta`, in bbolt's form of a copy, in chunks that belong to the caller until it
 * requests the next one. The caller keeps `meta` pinned, and `assertPinned` throws when it no longer is.
 */
export async function* copyChunks(
  pager: Pager,
  meta: Meta,
  assertPinned: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { pageSize } = pager;
  const metas = new Uint8Array(2 * pageSize);
  // The pages of a free list may be overwritten while the copy is made, so the copy has none.
  const copied: Meta = { ...meta, freelistPage: undefined };
  encodeMeta(copied, 0, metas.subarray(0, pageSize));
  // The second meta is one commit behind, so that there is no doubt which one counts.
  encodeMeta({ ...copied, txid: Math.max(0, meta.txid - 1) }, 1, metas.subarray(pageSize));
  assertPinned();
  yield metas;

  const size = meta.highWater * pageSize;
  let at = metas.length;
  invariant(Number.isInteger(TRANSFER_BYTES_MAX / pageSize), 'a chunk is made of whole pages');
  // Two buffers: one is being filled while the caller has the other.
  const buffers = [new Uint8Array(TRANSFER_BYTES_MAX), new Uint8Array(TRANSFER_BYTES_MAX)];
  let turn = 0;
  let reading = readAhead(pager, buffers[turn]!, at, size);
  try {
    while (at < size) {
      const chunk = await reading;
      invariant(
        chunk.length > 0 && chunk.length % pageSize === 0,
        'a chunk is made of whole pages',
      );
      // Pages read after the pin was given up may have been overwritten.
      assertPinned();
      at += chunk.length;
      turn = 1 - turn;
      reading = readAhead(pager, buffers[turn]!, at, size);
      yield chunk;
    }
    invariant(at === size, 'a copy has every page below the high-water mark');
  } finally {
    await reading.catch(() => undefined);
  }
}

/** Reads ahead: a failure rejects for the consumer that awaits it, if there is one. */
function readAhead(pager: Pager, buffer: Uint8Array, at: number, end: number): Promise<Uint8Array> {
  const reading = readChunk(pager, buffer, at, end);
  reading.catch(() => undefined);
  return reading;
}

async function readChunk(
  pager: Pager,
  buffer: Uint8Array,
  at: number,
  end: number,
): Promise<Uint8Array> {
  const chunk = buffer.subarray(0, Math.max(0, Math.min(buffer.length, end - at)));
  if (chunk.length > 0) await pager.read(chunk, at / pager.pageSize);
  return chunk;
}
