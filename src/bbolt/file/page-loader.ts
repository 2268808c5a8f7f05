// Many pages at once, past the cache, with few large asynchronous reads: wanted pages that lie close
// together in the file come with one read.

import { invariant } from '../../base/index.ts';
import { READ_GAP_BYTES_MAX, TRANSFER_BYTES_MAX } from '../limits.ts';
import { allocatePageBytes } from './layout.ts';
import type { Page } from './page.ts';
import type { Pager } from './pager.ts';

/** Pages that one batch may hold: what one read of full length brings. */
export function batchPagesMax(pager: Pager): number {
  return Math.max(1, Math.floor(TRANSFER_BYTES_MAX / pager.pageSize));
}

/**
 * The pages with these ids, in that order, each validated, with their overflow pages. Their bytes are
 * views of a few large buffers, which live as long as any page of theirs does. The caller pins the
 * commit that the pages belong to, and passes `batchPagesMax` ids at most. Only the first pages come if
 * together they have `bytesMax` bytes. `allocate` makes these buffers, of exactly so many bytes, and one of
 * its own for each page with overflow pages.
 */
export async function loadPages(
  pager: Pager,
  ids: readonly number[],
  bytesMax: number = Number.POSITIVE_INFINITY,
  allocate: (bytes: number) => Uint8Array = allocatePageBytes,
): Promise<Page[]> {
  invariant(ids.length <= batchPagesMax(pager), 'a batch is as long as one read at most');
  const gap = READ_GAP_BYTES_MAX / pager.pageSize;
  const lengthMax = batchPagesMax(pager);
  const sorted = ids.slice().sort((a, b) => a - b);
  const buffers: { readonly start: number; readonly bytes: Uint8Array }[] = [];
  for (let i = 0; i < sorted.length; ) {
    const start = sorted[i]!;
    let end = start + 1;
    while (i < sorted.length && sorted[i]! - end <= gap && sorted[i]! - start < lengthMax) {
      end = sorted[i]! + 1;
      i++;
    }
    invariant(start >= 2 && end > start, 'a read begins behind the meta pages and is not empty');
    const bytes = allocate((end - start) * pager.pageSize);
    await pager.read(bytes, start);
    buffers.push({ start, bytes });
  }

  const pages: Page[] = [];
  let buffer = buffers[0];
  let size = 0;
  for (const id of ids) {
    if (size >= bytesMax) break;
    if (buffer === undefined || !holds(pager, buffer, id)) {
      buffer = buffers.find((candidate) => holds(pager, candidate, id));
    }
    invariant(buffer !== undefined, 'a wanted page is in one of the reads');
    const at = (id - buffer.start) * pager.pageSize;
    const page = await pageAt(pager, id, buffer.bytes, at, allocate);
    pages.push(page);
    size += page.bytes.length;
  }
  invariant(
    pages.length === ids.length || size >= bytesMax,
    'every wanted page is loaded, unless they are too large together',
  );
  return pages;
}

function holds(pager: Pager, buffer: { start: number; bytes: Uint8Array }, id: number): boolean {
  return id >= buffer.start && id < buffer.start + buffer.bytes.length / pager.pageSize;
}

async function pageAt(
  pager: Pager,
  id: number,
  bytes: Uint8Array,
  at: number,
  allocate: (bytes: number) => Uint8Array,
): Promise<Page> {
  const head = bytes.subarray(at, at + pager.pageSize);
  invariant(head.length === pager.pageSize, 'a read holds whole pages');
  const extent = pager.extent(head, id);
  if (extent === 1) return pager.accept(head, id);
  const size = extent * pager.pageSize;
  const whole = allocate(size);
  const known = bytes.subarray(at, at + size);
  invariant(known.length >= pager.pageSize, 'of a long page its first one is read');
  whole.set(known);
  if (known.length < size) {
    await pager.read(whole.subarray(known.length), id + known.length / pager.pageSize);
  }
  return pager.accept(whole, id);
}
