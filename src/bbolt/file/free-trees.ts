// Freeing whole trees, of deleted buckets, with all buckets in them. Every page is read, since only
// a page itself says how many overflow pages it has.

import { invariant, type Slices } from '../../base/index.ts';
import { decodeBucketValue } from '../read/bucket-value.ts';
import { countRuns, type PageRuns, pushRun } from './freelist.ts';
import type { Page } from './page.ts';
import { batchPagesMax, loadPages } from './page-loader.ts';
import type { Pager } from './pager.ts';

/** Adds the pages of the trees with these roots to `freed`. */
export async function freeTrees(
  pager: Pager,
  roots: readonly number[],
  freed: PageRuns,
  slices: Slices,
): Promise<void> {
  // A stack of ids: what is below a page comes before its siblings, so it stays short.
  const waiting = roots.slice();
  const before = countRuns(freed);
  let visited = 0;
  let pagesFreed = 0;
  while (waiting.length > 0) {
    const ids = waiting.splice(Math.max(0, waiting.length - batchPagesMax(pager)));
    invariant(ids.length > 0, 'a batch has a page');
    const pages = await loadPages(pager, ids);
    slices.restart();
    for (const page of pages) {
      visited++;
      if (visited > pager.highWater) throw pager.corrupt(page.id, 'the tree never ends');
      pushRun(freed, page.id, page.overflow + 1);
      pagesFreed += page.overflow + 1;
      pushBelow(pager, page, waiting);
      if (slices.isOver) await slices.next();
    }
  }
  invariant(countRuns(freed) === before + pagesFreed, 'each page of a tree is freed once');
}

function pushBelow(pager: Pager, page: Page, into: number[]): void {
  invariant(page.isLeaf || page.count > 0, 'a branch has a child');
  for (let i = 0; i < page.count; i++) {
    if (!page.isLeaf) {
      into.push(page.childId(i));
    } else if (page.isBucket(i)) {
      const start = page.keyOffset(i) + page.keyLength(i);
      const { rootId, inline } = decodeBucketValue(
        pager,
        page.id,
        page.bytes,
        start,
        page.valueLength(i),
      );
      if (inline === undefined) into.push(rootId);
    }
  }
}
