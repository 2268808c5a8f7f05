// Compaction: the content of a snapshot, in key order, into a new database without free pages. Pages
// are filled for a store that appends.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import type { Page } from '../file/page.ts';
import { BUCKET_DEPTH_MAX, COMPACTION_BYTES_MAX, COMPACTION_KEYS_MAX } from '../limits.ts';
import { decodeBucketValue } from '../read/bucket-value.ts';
import type { Snapshot } from '../read/read-transaction.ts';
import { TreeWalk } from '../read/walk.ts';
import type { EditBucket } from '../write/write-bucket.ts';
import type { Writer } from '../write/write-transaction.ts';

/** As etcd's defragmentation fills pages. */
const FILL_PERCENT = 0.9;

interface CompactionTarget {
  writer(): Promise<Writer>;
}

export async function compactInto(source: Snapshot, target: CompactionTarget): Promise<void> {
  const writer = await target.writer();
  const compaction = new Compaction(source, target, writer);
  try {
    if (writer.cursor().first()) {
      throw new TetcdError(
        ERROR_CODES.INVALID_ARGUMENT,
        'the target of a compaction must be empty',
      );
    }
    await compaction.root();
  } finally {
    compaction.end();
  }
}

class Compaction {
  readonly #source: Snapshot;
  readonly #target: CompactionTarget;
  #writer: Writer;
  /** Names of the buckets that are being copied, outermost first. */
  readonly #path: Uint8Array[] = [];
  /** The bucket at `path`, in the current transaction. */
  #bucket: EditBucket | undefined;
  #keys = 0;
  #bytes = 0;

  constructor(source: Snapshot, target: CompactionTarget, writer: Writer) {
    this.#source = source;
    this.#target = target;
    this.#writer = writer;
  }

  async root(): Promise<void> {
    const { pager, meta } = this.#source;
    const leaf = (page: Page): Promise<boolean> => this.#leaf(page);
    await new TreeWalk(pager, this.#source.slices(), { leaf }).run(meta.rootPage);
    invariant(this.#path.length === 0, 'every bucket is left again');
    await this.#writer.commit();
  }

  /** Drops what has not been committed. */
  end(): void {
    this.#writer.rollback();
  }

  async #leaf(page: Page): Promise<boolean> {
    const { bytes } = page;
    for (let i = 0; i < page.count; i++) {
      const key = page.keyOffset(i);
      const keyLength = page.keyLength(i);
      const value = key + keyLength;
      const valueLength = page.valueLength(i);
      if (this.#keys >= COMPACTION_KEYS_MAX || this.#bytes >= COMPACTION_BYTES_MAX) {
        await this.#nextTransaction();
      }
      this.#keys++;
      this.#bytes += keyLength + valueLength;
      if (page.isBucket(i)) {
        await this.#nested(page, i);
      } else if (this.#bucket === undefined) {
        throw this.#source.pager.corrupt(page.id, 'a plain value in the root bucket');
      } else {
        this.#bucket.putSlice(bytes, key, keyLength, bytes, value, valueLength);
      }
    }
    return true;
  }

  async #nested(page: Page, index: number): Promise<void> {
    const { pager } = this.#source;
    const start = page.keyOffset(index);
    const end = start + page.keyLength(index);
    const name = page.bytes.slice(start, end);
    const value = decodeBucketValue(pager, page.id, page.bytes, end, page.valueLength(index));
    if (this.#path.length >= BUCKET_DEPTH_MAX)
      throw pager.corrupt(page.id, 'buckets nest too deep');

    const outer = this.#bucket;
    const bucket = (outer ?? this.#writer).createBucket(name);
    bucket.fillPercent = FILL_PERCENT;
    if (value.sequence !== 0n) bucket.setSequence(value.sequence);
    this.#path.push(name);
    this.#bucket = bucket;
    const leaf = (inner: Page): Promise<boolean> => this.#leaf(inner);
    if (value.inline !== undefined) await leaf(value.inline);
    else await new TreeWalk(pager, this.#source.slices(), { leaf }).run(value.rootId);
    invariant(this.#path.pop() === name, 'buckets are left in the reverse of their order');
    this.#bucket = this.#reopen();
  }

  async #nextTransaction(): Promise<void> {
    invariant(this.#keys > 0, 'a transaction of a compaction has a key');
    await this.#writer.commit();
    this.#writer = await this.#target.writer();
    this.#keys = 0;
    this.#bytes = 0;
    this.#bucket = this.#reopen();
  }

  /** The bucket at `path`; undefined for the root. */
  #reopen(): EditBucket | undefined {
    let bucket: EditBucket | undefined;
    for (const name of this.#path) {
      bucket = (bucket ?? this.#writer).bucket(name);
      invariant(bucket !== undefined, 'what was created before is there');
      bucket.fillPercent = FILL_PERCENT;
    }
    return bucket;
  }
}
