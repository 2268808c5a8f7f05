// A tree built from the leaves up, out of elements that come in key order. Pages go to the file one after
// the other in large blocks: no node, and no object per element.
//
//     add ──► leaf under construction ──full──► block ──full──► file
//               its first key and page id ──► branch under construction ──full──► block
//                                               its first key and page id ──► the branch above

import { copyBytes, invariant, verify } from '../../base/index.ts';
import {
  allocatePageBytes,
  BUCKET_ELEMENT_FLAG,
  BUCKET_HEADER_SIZE,
  ELEMENT_SIZE,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  writeBigU64,
  writePageHeader,
  writeU32,
  writeU64,
} from '../file/layout.ts';
import { INLINE_SHARE, JOINED_PAGES_MAX, TRANSFER_BYTES_MAX } from '../limits.ts';
import { type PageBuilder, verifyBuilt } from './page-builder.ts';
import { writeElement } from './write-page.ts';

/** Pages in the order of the file, collected into blocks that the {@link PageBuilder} writes. */
export class PageBlocks {
  readonly pageSize: number;
  readonly #builder: PageBuilder;
  #block: Uint8Array;
  #firstId = 0;
  #used = 0;
  /** Handed to the builder, and written already: for the next block. */
  #handed: Uint8Array | undefined;
  #spare: Uint8Array | undefined;

  constructor(builder: PageBuilder) {
    this.#builder = builder;
    this.pageSize = builder.pager.pageSize;
    invariant(TRANSFER_BYTES_MAX % this.pageSize === 0, 'a block is made of whole pages');
    this.#block = allocatePageBytes(TRANSFER_BYTES_MAX);
  }

  /** Whether {@link flush} should be called before more elements are added. */
  get isFull(): boolean {
    return this.#builder.unwritten >= TRANSFER_BYTES_MAX;
  }

  /** First page id that is not used yet. */
  get highWater(): number {
    return this.#builder.highWater;
  }

  /** A page with room for elements of `size` bytes, zeroed behind them; the caller fills it at once. */
  page(
    flags: number,
    count: number,
    size: number,
  ): { readonly id: number; readonly bytes: Uint8Array } {
    const pages = this.#builder.pagesFor(size);
    const length = pages * this.pageSize;
    const id = this.#builder.allocate(pages);
    const follows = id === this.#firstId + this.#used / this.pageSize;
    if (!follows || this.#used + length > this.#block.length) this.#close(length);
    if (this.#used === 0) this.#firstId = id;
    const bytes = this.#block.subarray(this.#used, this.#used + length);
    this.#used += length;
    writePageHeader(bytes, id, flags, count, pages - 1);
    bytes.fill(0, PAGE_HEADER_SIZE + size);
    return { id, bytes };
  }

  /** Hands what is left to the builder; {@link flush} writes it. */
  end(): void {
    this.#close(0);
  }

  /** Writes the blocks that are full. */
  async flush(): Promise<void> {
    await this.#builder.flush();
    this.#spare = this.#handed;
    this.#handed = undefined;
  }

  #close(lengthNext: number): void {
    if (this.#used > 0) {
      this.#builder.add(this.#firstId, this.#block.subarray(0, this.#used));
      if (this.#block.length === TRANSFER_BYTES_MAX) this.#handed = this.#block;
      this.#block = this.#spare ?? allocatePageBytes(TRANSFER_BYTES_MAX);
      this.#spare = undefined;
    }
    if (lengthNext > this.#block.length) this.#block = allocatePageBytes(lengthNext);
    this.#used = 0;
  }
}

export class TreeBuilder {
  readonly #blocks: PageBlocks;
  /** Bytes of a page, header included, beyond which it gets no further element. */
  readonly #fullness: number;
  /** Elements of the leaf under construction: where their key is, with the value behind it. */
  readonly #sources: Uint8Array[] = [];
  readonly #offsets: number[] = [];
  readonly #keyLengths: number[] = [];
  readonly #valueLengths: number[] = [];
  readonly #flags: number[] = [];
  #size = 0;
  #leaves = 0;
  /** Branches under construction, lowest first. */
  readonly #levels: BranchLevel[] = [];

  constructor(blocks: PageBlocks, fillPercent: number) {
    invariant(fillPercent > 0 && fillPercent <= 1, 'a page is filled to a part of it');
    this.#blocks = blocks;
    this.#fullness = Math.floor(blocks.pageSize * fillPercent);
  }

  /**
   * Appends an element, whose key is above all before. Key and value lie side by side in `source`, which
   * stays unchanged until the tree is finished.
   */
  add(
    source: Uint8Array,
    offset: number,
    keyLength: number,
    valueLength: number,
    flags: number,
  ): void {
    const size = ELEMENT_SIZE + keyLength + valueLength;
    if (this.#sources.length > 0 && !this.#takes(size)) this.#closeLeaf();
    this.#sources.push(source);
    this.#offsets.push(offset);
    this.#keyLengths.push(keyLength);
    this.#valueLengths.push(valueLength);
    this.#flags.push(flags);
    this.#size += size;
  }

  /** The value of a bucket that is small enough to be kept in the element itself; else undefined. */
  inlineValue(sequence: bigint): Uint8Array | undefined {
    const isSmall = PAGE_HEADER_SIZE + this.#size <= this.#blocks.pageSize * INLINE_SHARE;
    const hasBuckets = this.#flags.includes(BUCKET_ELEMENT_FLAG);
    if (this.#leaves > 0 || !isSmall || hasBuckets) return undefined;
    const value = new Uint8Array(BUCKET_HEADER_SIZE + PAGE_HEADER_SIZE + this.#size);
    writeBigU64(value, 8, sequence);
    const leaf = value.subarray(BUCKET_HEADER_SIZE);
    writePageHeader(leaf, 0, PAGE_FLAGS.LEAF, this.#sources.length, 0);
    this.#writeElements(leaf);
    return value;
  }

  /** Ends the tree; its root's page id. */
  finish(): number {
    if (this.#sources.length > 0 || this.#leaves === 0) this.#closeLeaf();
    for (let depth = 0; ; depth++) {
      const level = this.#levels[depth]!;
      if (level.count === 1 && level.pages === 0) return level.childIds[0]!;
      this.#closeBranch(depth, level.count);
    }
  }

  /** As when nodes are cut: one that needs overflow pages anyway is joined if that saves a page. */
  #takes(size: number): boolean {
    const { pageSize } = this.#blocks;
    const together = PAGE_HEADER_SIZE + this.#size + size;
    if (together <= this.#fullness) return true;
    if (PAGE_HEADER_SIZE + size <= pageSize) return false;
    const pages = (bytes: number): number => Math.ceil((PAGE_HEADER_SIZE + bytes) / pageSize);
    const joined = pages(this.#size + size);
    return joined <= JOINED_PAGES_MAX && joined < pages(this.#size) + pages(size);
  }

  #closeLeaf(): void {
    const count = this.#sources.length;
    const { id, bytes } = this.#blocks.page(PAGE_FLAGS.LEAF, count, this.#size);
    this.#writeElements(bytes);
    if (verify.all) verifyBuilt(id, bytes, this.#blocks.highWater);
    this.#leaves++;
    if (count > 0)
      this.#addChild(0, id, this.#sources[0]!, this.#offsets[0]!, this.#keyLengths[0]!);
    else this.#addChild(0, id, bytes, 0, 0);
    this.#sources.length = 0;
    this.#offsets.length = 0;
    this.#keyLengths.length = 0;
    this.#valueLengths.length = 0;
    this.#flags.length = 0;
    this.#size = 0;
  }

  #writeElements(page: Uint8Array): void {
    const count = this.#sources.length;
    let element = PAGE_HEADER_SIZE;
    let data = element + count * ELEMENT_SIZE;
    for (let i = 0; i < count; i++) {
      const [keyLength, valueLength] = [this.#keyLengths[i]!, this.#valueLengths[i]!];
      writeElement(page, element, this.#flags[i]!, data - element, keyLength, valueLength);
      copyBytes(this.#sources[i]!, this.#offsets[i]!, keyLength + valueLength, page, data);
      data += keyLength + valueLength;
      element += ELEMENT_SIZE;
    }
    invariant(data === PAGE_HEADER_SIZE + this.#size, 'a leaf has the size that was counted');
  }

  #addChild(depth: number, id: number, key: Uint8Array, offset: number, length: number): void {
    this.#levels[depth] ??= new BranchLevel();
    const level = this.#levels[depth]!;
    level.add(id, key, offset, length);
    // The last two are kept back: a branch has two children at least, the last one of a level too.
    const most = level.count - 2;
    if (most >= 2 && PAGE_HEADER_SIZE + level.sizeOf(most + 1) > this.#fullness) {
      this.#closeBranch(depth, most);
    }
  }

  /** Makes a page of the first `count` children of a level. */
  #closeBranch(depth: number, count: number): void {
    const level = this.#levels[depth]!;
    invariant(count >= 2, 'a branch has two children at least');
    const { id, bytes } = this.#blocks.page(PAGE_FLAGS.BRANCH, count, level.sizeOf(count));
    level.write(bytes, count);
    if (verify.all) verifyBuilt(id, bytes, this.#blocks.highWater);
    const { keys, keyEnds } = level;
    this.#addChild(depth + 1, id, keys, 0, keyEnds[0]!);
    level.pages++;
    level.drop(count);
  }
}

/** The children of a branch under construction. */
class BranchLevel {
  readonly childIds: number[] = [];
  /** First keys of the children, one behind the other. */
  keys: Uint8Array = new Uint8Array(4096);
  readonly keyEnds: number[] = [];
  /** Branches of this level that were built already. */
  pages = 0;

  get count(): number {
    return this.childIds.length;
  }

  add(id: number, key: Uint8Array, offset: number, length: number): void {
    const start = this.keyEnds.at(-1) ?? 0;
    if (start + length > this.keys.length) {
      const larger = new Uint8Array(2 * (start + length));
      larger.set(this.keys);
      this.keys = larger;
    }
    copyBytes(key, offset, length, this.keys, start);
    this.childIds.push(id);
    this.keyEnds.push(start + length);
  }

  /** Bytes of the first `count` elements. */
  sizeOf(count: number): number {
    return count * ELEMENT_SIZE + this.keyEnds[count - 1]!;
  }

  write(page: Uint8Array, count: number): void {
    let element = PAGE_HEADER_SIZE;
    const data = element + count * ELEMENT_SIZE;
    let start = 0;
    for (let i = 0; i < count; i++) {
      const end = this.keyEnds[i]!;
      writeU32(page, element, data + start - element);
      writeU32(page, element + 4, end - start);
      writeU64(page, element + 8, this.childIds[i]!);
      start = end;
      element += ELEMENT_SIZE;
    }
    copyBytes(this.keys, 0, start, page, data);
  }

  /** Forgets the first `count` children. */
  drop(count: number): void {
    const from = this.keyEnds[count - 1]!;
    this.keys.copyWithin(0, from, this.keyEnds.at(-1));
    this.childIds.splice(0, count);
    this.keyEnds.splice(0, count);
    for (let i = 0; i < this.keyEnds.length; i++) this.keyEnds[i] = this.keyEnds[i]! - from;
  }
}
