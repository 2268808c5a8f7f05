// The free-list page, where there is one.

import { freelistSize } from './freelist.ts';
import {
  FREELIST_LARGE_COUNT,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  readU16,
  readU32,
  readU64,
} from './layout.ts';
import type { Meta } from './meta.ts';
import { PageSet } from './page-set.ts';
import type { Pager } from './pager.ts';

/** The page ids listed by the free-list page of `meta`. CORRUPT if it is unsound. */
export async function readFreelist(pager: Pager, meta: Meta): Promise<PageSet> {
  const ids = new PageSet();
  const id = meta.freelistPage;
  if (id === undefined) return ids;
  let bytes = new Uint8Array(pager.pageSize);
  await pager.read(bytes, id);
  const flags = readU16(bytes, 8);
  if (flags !== PAGE_FLAGS.FREELIST) {
    throw pager.corrupt(id, `flags ${flags}, expected a free-list page`);
  }
  const overflow = readU32(bytes, 12);
  if (id + overflow >= meta.highWater) {
    throw pager.corrupt(id, `${overflow} overflow pages reach beyond the high-water mark`);
  }
  if (overflow > 0) {
    bytes = new Uint8Array((overflow + 1) * pager.pageSize);
    await pager.read(bytes, id);
  }

  let count = readU16(bytes, 10);
  let at = PAGE_HEADER_SIZE;
  if (count === FREELIST_LARGE_COUNT) {
    count = readU64(bytes, at);
    at += 8;
  }
  // A large count may stand in a list that would not need it; it only has to fit.
  if (at + count * 8 > bytes.length || freelistSize(0) > bytes.length) {
    throw pager.corrupt(id, `${count} free pages do not fit into the list`);
  }
  for (let i = 0; i < count; i++, at += 8) {
    const free = readU64(bytes, at);
    if (free < 2 || free >= meta.highWater) throw pager.corrupt(id, `page ${free} cannot be free`);
    if (!ids.add(free)) throw pager.corrupt(id, `page ${free} is listed twice`);
  }
  return ids;
}
