// A consistent copy of the whole file while commits go on: the pages of the pinned commit cannot
// change; what else lies between them is copied as it comes.

import { invariant } from '../base/index.ts';
import type { CopyResult } from './api.ts';
import { TRANSFER_BYTES_MAX } from './limits.ts';
import { encodeMeta, type Meta } from './meta.ts';
import type { Pager } from './pager.ts';

/** Writes the database at `meta`, which the caller has pinned, in bbolt's form of a copy. */
export async function copyDatabase(
  pager: Pager,
  meta: Meta,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<CopyResult> {
  const { pageSize } = pager;
  const metas = new Uint8Array(2 * pageSize);
  // The pages of a free list may be written anew while the copy is made, so it does without one.
  const copied: Meta = { ...meta, freelistPage: undefined };
  encodeMeta(copied, 0, metas.subarray(0, pageSize));
  // The second meta is one commit behind, so that there is no doubt which one counts.
  encodeMeta({ ...copied, txid: Math.max(0, meta.txid - 1) }, 1, metas.subarray(pageSize));
  await write(metas);

  const size = meta.highWater * pageSize;
  let at = metas.length;
  const pagesPerChunk = TRANSFER_BYTES_MAX / pageSize;
  invariant(Number.isInteger(pagesPerChunk), 'a chunk is made of whole pages');
  // Two buffers: one is being filled while the other is being written.
  const buffers = [new Uint8Array(TRANSFER_BYTES_MAX), new Uint8Array(TRANSFER_BYTES_MAX)];
  let turn = 0;
  let reading = readChunk(pager, buffers[0]!, at, size);
  while (at < size) {
    const chunk = await reading;
    at += chunk.length;
    turn = 1 - turn;
    reading = readChunk(pager, buffers[turn]!, at, size);
    try {
      await write(chunk);
    } catch (error) {
      await reading.catch(() => undefined);
      throw error;
    }
  }
  return { txid: meta.txid, size };
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
