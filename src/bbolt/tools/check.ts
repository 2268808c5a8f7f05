// The check of a database: lists every violation instead of throwing the first. Pages are read from
// the file, not from the cache, which holds only what was sound when it was read.

import {
  EMPTY_BYTES,
  ERROR_CODES,
  hasCode,
  latin1FromBytes,
  type Slices,
} from '../../base/index.ts';
import type { Violation } from '../api.ts';
import type { Freelist } from '../file/freelist.ts';
import {
  BUCKET_HEADER_SIZE,
  comparePlaces,
  type KeyPlace,
  PAGE_HEADER_SIZE,
  readU32,
  readU64,
} from '../file/layout.ts';
import type { Meta } from '../file/meta.ts';
import { Page, validateBounds, validateHeader } from '../file/page.ts';
import { PageSet } from '../file/page-set.ts';
import type { Pager } from '../file/pager.ts';
import { readFreelist } from '../file/read-freelist.ts';
import { BUCKET_DEPTH_MAX, TREE_DEPTH_MAX, VIOLATIONS_MAX } from '../limits.ts';
import { validateInline } from '../read/bucket-value.ts';

/** Of a tree without a bound: no key is empty. */
const NO_BOUND: KeyPlace = { bytes: EMPTY_BYTES, offset: 0, length: 0 };

/** The violations in the state `meta`, which the caller has pinned; VIOLATIONS_MAX at most. */
export async function checkDatabase(
  pager: Pager,
  meta: Meta,
  freelist: Freelist | undefined,
  slices: Slices,
): Promise<readonly Violation[]> {
  const unused = freelist?.unusedByLastCommit();
  const check = new Check(pager, meta, slices);
  await check.freePages(unused);
  await check.tree(meta.rootPage, 0, 0, NO_BOUND, NO_BOUND);
  check.lost();
  return check.violations;
}

class Check {
  readonly violations: Violation[] = [];
  readonly #pager: Pager;
  readonly #meta: Meta;
  readonly #slices: Slices;
  readonly #reached = new PageSet();
  /** Of the trees being checked, outermost bucket first: the depth of their leaves, once known. */
  readonly #leafDepths: number[] = [];
  /** Free and pending pages; undefined where there is no list to compare with. */
  #unused: PageSet | undefined;

  constructor(pager: Pager, meta: Meta, slices: Slices) {
    this.#pager = pager;
    this.#meta = meta;
    this.#slices = slices;
  }

  /** Takes the free pages from memory, or from the free-list page if there is one. */
  async freePages(unused: PageSet | undefined): Promise<void> {
    const { freelistPage } = this.#meta;
    this.#unused = unused;
    // The list that a file was opened with is not in use any more.
    if (freelistPage === undefined || unused?.has(freelistPage)) return;
    try {
      const listed = await readFreelist(this.#pager, this.#meta);
      this.#unused ??= listed;
      this.#slices.restart();
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.CORRUPT)) throw error;
      this.#report(freelistPage, error.message);
      return;
    }
    const header = new Uint8Array(PAGE_HEADER_SIZE);
    this.#pager.readSync(header, freelistPage);
    this.#reach(freelistPage, readU32(header, 12));
  }

  /** Checks the tree below page `id`, whose keys must lie in [min, max). */
  async tree(
    id: number,
    depth: number,
    bucketDepth: number,
    min: KeyPlace,
    max: KeyPlace,
  ): Promise<void> {
    if (depth >= TREE_DEPTH_MAX) return this.#report(id, 'the tree is too deep');
    if (this.violations.length >= VIOLATIONS_MAX) return;
    const page = this.#read(id);
    if (page === undefined || !this.#reach(id, page.overflow)) return;
    const wrong = validateBounds(page.bytes, this.#meta.highWater);
    if (wrong !== undefined) return this.#report(id, wrong);
    this.#keyOrder(page, id, min, max);
    if (page.isLeaf) {
      this.#leafDepth(page, depth, bucketDepth);
      await this.#buckets(page, bucketDepth);
    } else {
      for (let i = 0; i < page.count; i++) {
        const end = i + 1 < page.count ? keyAt(page, i + 1) : max;
        await this.tree(page.childId(i), depth + 1, bucketDepth, keyAt(page, i), end);
      }
    }
    if (this.#slices.isOver) await this.#slices.next();
  }

  /** All leaves of one tree are on one level. */
  #leafDepth(page: Page, depth: number, bucketDepth: number): void {
    this.#leafDepths[bucketDepth] ??= depth;
    if (this.#leafDepths[bucketDepth] !== depth) {
      this.#report(page.id, `a leaf at depth ${depth}, others at ${this.#leafDepths[bucketDepth]}`);
    }
  }

  /** Pages below the high-water mark that are in no tree and in no list. */
  lost(): void {
    const unused = this.#unused;
    if (unused === undefined) return;
    const rest = this.#reached.complement(2, this.#meta.highWater);
    for (let id = rest.next(0); id >= 0; id = rest.next(id + 1)) {
      if (!unused.has(id)) this.#report(id, 'neither reachable nor free');
    }
  }

  async #buckets(page: Page, bucketDepth: number): Promise<void> {
    for (let i = 0; i < page.count; i++) {
      if (!page.isBucket(i)) {
        if (bucketDepth === 0) this.#report(page.id, `element ${i} of the root is no bucket`);
        continue;
      }
      if (bucketDepth + 1 >= BUCKET_DEPTH_MAX) {
        this.#report(page.id, 'buckets nest too deep');
        continue;
      }
      const start = page.keyOffset(i) + page.keyLength(i);
      const rootId = readU64(page.bytes, start);
      if (rootId !== 0) {
        this.#leafDepths.length = bucketDepth + 1;
        await this.tree(rootId, 0, bucketDepth + 1, NO_BOUND, NO_BOUND);
        continue;
      }
      const image = page.bytes.slice(start + BUCKET_HEADER_SIZE, start + page.valueLength(i));
      const wrong = validateInline(image, this.#meta.highWater);
      if (wrong !== undefined) this.#report(page.id, `element ${i}, an inline bucket: ${wrong}`);
      else this.#inline(page.id, new Page(0, image));
    }
  }

  #inline(holder: number, leaf: Page): void {
    this.#keyOrder(leaf, holder, NO_BOUND, NO_BOUND);
    for (let i = 0; i < leaf.count; i++) {
      if (leaf.isBucket(i)) this.#report(holder, 'an inline bucket holds a bucket');
    }
  }

  #keyOrder(page: Page, id: number, min: KeyPlace, max: KeyPlace): void {
    let previous = min;
    for (let i = 0; i < page.count; i++) {
      const key = keyAt(page, i);
      const order = previous.length === 0 ? -1 : comparePlaces(previous, key);
      if (i === 0 && order > 0) {
        this.#report(id, `key 0 (${hex(key)}) is below its key in the branch (${hex(min)})`);
      } else if (i > 0 && order >= 0) {
        this.#report(id, `key ${i} (${hex(key)}) is not above the one before (${hex(previous)})`);
      }
      if (max.length > 0 && comparePlaces(key, max) >= 0) {
        this.#report(id, `key ${i} (${hex(key)}) reaches the next key of the branch (${hex(max)})`);
      }
      previous = key;
    }
  }

  /** Marks the pages as reached; false if one of them was already. */
  #reach(id: number, overflow: number): boolean {
    let fresh = true;
    for (let page = id; page <= id + overflow; page++) {
      if (!this.#reached.add(page)) {
        this.#report(page, 'multiple references');
        fresh = false;
      }
      if (this.#unused?.has(page)) this.#report(page, 'reachable and free');
    }
    return fresh;
  }

  #read(id: number): Page | undefined {
    const pager = this.#pager;
    const meta = this.#meta;
    if (id < 2 || id >= meta.highWater) {
      this.#report(id, `beyond the high-water mark ${meta.highWater}`);
      return undefined;
    }
    pager.assertOpen();
    const head = new Uint8Array(pager.pageSize);
    pager.readSync(head, id);
    const wrong = validateHeader(head, id, meta.highWater);
    if (wrong !== undefined) {
      // Its pages count as used, with any content.
      this.#reached.add(id);
      this.#report(id, wrong);
      return undefined;
    }
    const overflow = readU32(head, 12);
    if (overflow === 0) return new Page(id, head);
    const whole = new Uint8Array((overflow + 1) * pager.pageSize);
    pager.readSync(whole, id);
    return new Page(id, whole);
  }

  #report(page: number, text: string): void {
    if (this.violations.length < VIOLATIONS_MAX) {
      this.violations.push({ page, text: `page ${page}: ${text}` });
    }
  }
}

function keyAt(page: Page, index: number): KeyPlace {
  return { bytes: page.bytes, offset: page.keyOffset(index), length: page.keyLength(index) };
}

/** The start of a key, for a text. */
function hex(key: KeyPlace): string {
  const text = latin1FromBytes(key.bytes, key.offset, key.offset + Math.min(key.length, 32));
  let digits = '';
  for (const char of text) digits += char.charCodeAt(0).toString(16).padStart(2, '0');
  return key.length > 32 ? `${digits}..` : digits;
}
