// The scan of the whole file at opening: it finds the pages that the trees reach, so that all others
// are free, and passes the entries of some buckets to visitors on the way.

import { compareBytes, invariant, type Slices } from '../../base/index.ts';
import type { BucketVisitor } from '../api.ts';
import type { Meta } from '../file/meta.ts';
import type { Page } from '../file/page.ts';
import { PageSet } from '../file/page-set.ts';
import type { Pager } from '../file/pager.ts';
import { BUCKET_DEPTH_MAX } from '../limits.ts';
import { decodeBucketValue } from './bucket-value.ts';
import { TreeWalk, visitLeaf } from './walk.ts';

/** The pages that `meta` reaches. CORRUPT if a page is damaged or reached twice. */
export async function scanDatabase(
  pager: Pager,
  meta: Meta,
  visitors: readonly BucketVisitor[],
  slices: Slices,
): Promise<PageSet> {
  const scan = new Scan(pager, visitors, slices);
  await scan.tree(meta.rootPage, 0, undefined);
  invariant(scan.reached.has(meta.rootPage), 'the root page is in use');
  invariant(scan.reached.count <= meta.highWater - 2, 'pages that are reached lie in the file');
  return scan.reached;
}

class Scan {
  readonly reached = new PageSet();
  readonly #pager: Pager;
  readonly #visitors: readonly BucketVisitor[];
  readonly #slices: Slices;

  constructor(pager: Pager, visitors: readonly BucketVisitor[], slices: Slices) {
    this.#pager = pager;
    this.#visitors = visitors;
    this.#slices = slices;
  }

  /** Walks one tree and, bucket by bucket in key order, those below it. */
  async tree(rootId: number, depth: number, visitor: BucketVisitor | undefined): Promise<void> {
    if (depth >= BUCKET_DEPTH_MAX) throw this.#pager.corrupt(rootId, 'buckets nest too deep');
    let wanted = visitor;
    const leaf = (page: Page): boolean | Promise<boolean> => {
      this.#reach(page);
      const place = { pager: this.#pager, pageId: page.id };
      if (wanted !== undefined && !visitLeaf(page, wanted, place)) wanted = undefined;
      return hasBuckets(page) ? this.#buckets(page, depth) : true;
    };
    const branch = (page: Page): void => this.#reach(page);
    await new TreeWalk(this.#pager, this.#slices, { branch, leaf }).run(rootId);
  }

  async #buckets(page: Page, depth: number): Promise<boolean> {
    for (let i = 0; i < page.count; i++) {
      if (!page.isBucket(i)) continue;
      const start = page.keyOffset(i);
      const end = start + page.keyLength(i);
      const value = decodeBucketValue(this.#pager, page.id, page.bytes, end, page.valueLength(i));
      const name = page.bytes.subarray(start, end);
      const visitor = depth === 0 ? this.#visitorOf(name) : undefined;
      if (value.inline === undefined) await this.tree(value.rootId, depth + 1, visitor);
      else if (visitor !== undefined) {
        visitLeaf(value.inline, visitor, { pager: this.#pager, pageId: page.id });
      }
    }
    return true;
  }

  #visitorOf(name: Uint8Array): BucketVisitor | undefined {
    return this.#visitors.find((visitor) => compareBytes(visitor.bucket, name) === 0);
  }

  #reach(page: Page): void {
    for (let id = page.id; id <= page.id + page.overflow; id++) {
      if (!this.reached.add(id)) throw this.#pager.corrupt(id, 'two references lead to the page');
    }
  }
}

function hasBuckets(page: Page): boolean {
  for (let i = 0; i < page.count; i++) if (page.isBucket(i)) return true;
  return false;
}
