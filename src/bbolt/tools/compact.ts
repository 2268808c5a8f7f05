// Compaction: the content of a snapshot, in key order, into a new database without free pages. Pages are
// filled for a store that appends, and become the database's with one commit at the end.
//
// It gives way to what else the process does: short slices, small syncs, and a pause after each block.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import { BUCKET_ELEMENT_FLAG } from '../file/layout.ts';
import type { Page } from '../file/page.ts';
import type { Rests } from '../file/rests.ts';
import { BUCKET_DEPTH_MAX, COMPACTION_SYNC_BYTES } from '../limits.ts';
import { decodeBucketValue, encodeBucketHeader } from '../read/bucket-value.ts';
import type { Snapshot } from '../read/read-transaction.ts';
import { TreeWalk } from '../read/walk.ts';
import type { PageBuilder } from '../write/page-builder.ts';
import { PageBlocks, TreeBuilder } from '../write/tree-builder.ts';
import type { Writer } from '../write/write-transaction.ts';

/** As etcd's defragmentation fills pages. */
const FILL_PERCENT = 0.9;

interface CompactionTarget {
  readonly noSync: boolean;
  writer(): Promise<Writer>;
}

/** After each block of the new file come `rests`. */
export async function compactInto(
  source: Snapshot,
  target: CompactionTarget,
  rests: Rests,
): Promise<void> {
  const writer = await target.writer();
  try {
    if (writer.cursor().first()) {
      throw new TetcdError(
        ERROR_CODES.INVALID_ARGUMENT,
        'the target of a compaction must be empty',
      );
    }
    await writer.commitRoot((builder) => {
      return new Compaction(source, writer, builder, { noSync: target.noSync, rests }).run();
    });
  } finally {
    writer.rollback();
  }
}

class Compaction {
  readonly #source: Snapshot;
  readonly #writer: Writer;
  readonly #builder: PageBuilder;
  readonly #blocks: PageBlocks;
  readonly #noSync: boolean;
  readonly #rests: Rests;
  /** Buckets within buckets, as deep as the one that is being copied. */
  #depth = 0;
  /** Pages that were built when the file was synced last. */
  #syncedPages = 0;

  constructor(
    source: Snapshot,
    writer: Writer,
    builder: PageBuilder,
    { noSync, rests }: { readonly noSync: boolean; readonly rests: Rests },
  ) {
    this.#source = source;
    this.#writer = writer;
    this.#builder = builder;
    this.#blocks = new PageBlocks(builder);
    this.#noSync = noSync;
    this.#rests = rests;
  }

  /** The page id of the root bucket's tree. */
  async run(): Promise<number> {
    const root = new TreeBuilder(this.#blocks, FILL_PERCENT);
    await this.#tree(this.#source.meta.rootPage, root);
    const id = root.finish();
    this.#blocks.end();
    invariant(this.#depth === 0, 'every bucket is left again');
    return id;
  }

  async #tree(rootId: number, into: TreeBuilder): Promise<void> {
    const leaf = (page: Page): boolean | Promise<boolean> => this.#leaf(page, into);
    const slices = this.#source.slices();
    // Of the leaf under construction the elements lie in pages that were read.
    const visitor = { leaf, keepsPages: true };
    await new TreeWalk(this.#source.pager, slices, visitor).run(rootId);
  }

  #leaf(page: Page, into: TreeBuilder): boolean | Promise<boolean> {
    for (let i = 0; i < page.count; i++) {
      if (page.isBucket(i) || this.#depth === 0) return this.#buckets(page, i, into);
      into.add(page.bytes, page.keyOffset(i), page.keyLength(i), page.valueLength(i), 0);
    }
    return this.#blocks.isFull ? this.#flush() : true;
  }

  /** The elements from index `from` on, among which are buckets. */
  async #buckets(page: Page, from: number, into: TreeBuilder): Promise<boolean> {
    for (let i = from; i < page.count; i++) {
      if (page.isBucket(i)) await this.#bucket(page, i, into);
      else if (this.#depth === 0) {
        throw this.#source.pager.corrupt(page.id, 'a plain value in the root bucket');
      } else into.add(page.bytes, page.keyOffset(i), page.keyLength(i), page.valueLength(i), 0);
    }
    return this.#blocks.isFull ? await this.#flush() : true;
  }

  async #bucket(page: Page, index: number, into: TreeBuilder): Promise<void> {
    const { pager } = this.#source;
    const start = page.keyOffset(index);
    const keyLength = page.keyLength(index);
    const end = start + keyLength;
    const { rootId, sequence, inline } = decodeBucketValue(
      pager,
      page.id,
      page.bytes,
      end,
      page.valueLength(index),
    );
    if (this.#depth >= BUCKET_DEPTH_MAX) throw pager.corrupt(page.id, 'buckets nest too deep');
    this.#depth++;
    const tree = new TreeBuilder(this.#blocks, FILL_PERCENT);
    if (inline === undefined) await this.#tree(rootId, tree);
    else await this.#leaf(inline, tree);
    this.#depth--;
    const value = tree.inlineValue(sequence) ?? encodeBucketHeader(tree.finish(), sequence);
    const element = new Uint8Array(keyLength + value.length);
    element.set(page.bytes.subarray(start, end));
    element.set(value, keyLength);
    into.add(element, 0, keyLength, value.length, BUCKET_ELEMENT_FLAG);
  }

  /** Writes what is full, and syncs it now and then: the rest of the disk is others'. */
  async #flush(): Promise<boolean> {
    const { file, pageSize } = this.#builder.pager;
    this.#writer.assertGoesOn();
    this.#rests.begin();
    await this.#blocks.flush();
    const unsynced = (this.#builder.pagesBuilt - this.#syncedPages) * pageSize;
    if (!this.#noSync && unsynced >= COMPACTION_SYNC_BYTES) {
      await file.sync();
      this.#syncedPages = this.#builder.pagesBuilt;
    }
    await this.#rests.rest();
    this.#writer.assertGoesOn();
    return true;
  }
}
