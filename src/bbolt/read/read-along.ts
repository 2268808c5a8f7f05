// Read-ahead of cursors: one that misses the cache reads neighbouring pages with the one it needs.
// Leaves that were written together lie side by side, and one read of 64 KiB costs less than two of
// 4 KiB.

import { invariant } from '../../base/index.ts';
import { allocatePageBytes } from '../file/layout.ts';
import type { Page } from '../file/page.ts';
import type { Pager } from '../file/pager.ts';
import { READ_ALONG_PAGES_MAX } from '../limits.ts';

/** Child `index` of `parent`; caches up to `pagesMax` children that lie side by side with it. */
export function readAlong(pager: Pager, parent: Page, index: number, pagesMax: number): Page {
  const first = parent.childId(index);
  const count = neighbours(pager, parent, index, pagesMax);
  if (count === 1) return pager.page(first);

  const { pageSize } = pager;
  const bytes = allocatePageBytes(count * pageSize);
  pager.readSync(bytes, first);
  // Last to first: the page that is wanted must be in the cache in the end.
  for (let i = count - 1; i >= 0; i--) {
    const page = bytes.subarray(i * pageSize, (i + 1) * pageSize);
    // A page with overflow pages is left to be read by itself.
    if (pager.extent(page, first + i) > 1) continue;
    pager.cache.put(pager.accept(page, first + i), i === 0);
  }
  const page = pager.page(first);
  invariant(page.id === first, 'a child is the page that its branch refers to');
  return page;
}

/** How many children from `index` on have consecutive page ids and are not in the cache. */
function neighbours(pager: Pager, parent: Page, index: number, pagesMax: number): number {
  invariant(pagesMax <= READ_ALONG_PAGES_MAX, 'a read along is short');
  invariant(index < parent.count, 'a child is one of its branch');
  const first = parent.childId(index);
  let count = 1;
  while (
    count < pagesMax &&
    index + count < parent.count &&
    parent.childId(index + count) === first + count &&
    !pager.cache.has(first + count)
  ) {
    count++;
  }
  return count;
}
