// Bringing the pages of a key range into the cache, level by level, with large asynchronous reads.

import { compareBytes, invariant } from '../../base/index.ts';
import { TREE_DEPTH_MAX } from '../limits.ts';
import type { Page } from './page.ts';
import { batchPagesMax, loadPages } from './page-loader.ts';
import type { Pager } from './pager.ts';

/**
 * Loads what the cache lacks of the pages that hold keys in [from, until), at most `bytesMax` in
 * all; resolves with the bytes loaded. The caller pins the commit that the tree belongs to.
 */
export async function prefetchRange(
  pager: Pager,
  rootId: number,
  from: Uint8Array,
  until: Uint8Array | undefined,
  bytesMax: number,
): Promise<number> {
  let loaded = 0;
  let level = [rootId];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= TREE_DEPTH_MAX) throw pager.corrupt(rootId, 'the tree is too deep');
    const below: number[] = [];
    const pagesMax = Math.ceil(bytesMax / pager.pageSize);
    for (let at = 0; at < level.length && loaded < bytesMax; ) {
      const ids = level.slice(at, at + batchPagesMax(pager));
      invariant(ids.length > 0, 'a batch has a page');
      at += ids.length;
      loaded += await loadMissing(pager, ids);
      for (const id of ids) {
        const page = pager.cache.get(id);
        if (page === undefined || page.isLeaf) continue;
        addChildren(page, from, until, pagesMax, below);
      }
    }
    invariant(below.length <= pagesMax, 'no more is loaded than was asked for');
    level = below;
  }
  return loaded;
}

async function loadMissing(pager: Pager, ids: readonly number[]): Promise<number> {
  const missing = ids.filter((id) => !pager.cache.has(id));
  if (missing.length === 0) return 0;
  let loaded = 0;
  for (const page of await loadPages(pager, missing)) {
    pager.cache.put(page, true);
    loaded += page.bytes.length;
  }
  return loaded;
}

function addChildren(
  branch: Page,
  from: Uint8Array,
  until: Uint8Array | undefined,
  countMax: number,
  into: number[],
): void {
  invariant(!branch.isLeaf, 'children are those of a branch');
  for (let i = branch.searchBranch(from); i < branch.count && into.length < countMax; i++) {
    if (until !== undefined && i > 0) {
      const offset = branch.keyOffset(i);
      const key = branch.bytes.subarray(offset, offset + branch.keyLength(i));
      if (compareBytes(key, until) >= 0) return;
    }
    into.push(branch.childId(i));
  }
}
