// The contents of one simulated file: what a reader sees now, what a crash cannot take away, and the
// changes between the two.
//
//   durable ──(pending changes, in order)──> live
//
// Both are maps from page number to page and share pages until one of them changes; a page that is
// absent is a hole and reads as zeros, and counts as not allocated.

import { invariant, type Random } from '../../base/index.ts';
import { PAGE_SIZE, SECTOR_SIZE } from './limits.ts';

/** The page that zero-filling puts in place; never written to. */
const ZERO_PAGE = new Uint8Array(PAGE_SIZE);

interface Change {
  /** Counts up over the file's life; a sync covers the changes numbered before it began. */
  readonly number: number;
  readonly kind: 'write' | 'zeros' | 'truncate';
  readonly position: number;
  /** Bytes changed; for `truncate`, the new size of the file. */
  readonly size: number;
  /** For `write`: the content, ours alone. */
  readonly bytes: Uint8Array | undefined;
}

export class FileData {
  #live = new Image();
  #durable = new Image();
  #pending: Change[] = [];
  #nextNumber = 0;

  get size(): number {
    return this.#live.size;
  }

  /** Pages that take room on the disk. */
  get pageCount(): number {
    return this.#live.pages.size;
  }

  read(target: Uint8Array, position: number): number {
    return this.#live.read(target, position);
  }

  /** Pages that writing [position, position + size) would newly allocate. */
  pagesMissing(position: number, size: number): number {
    let missing = 0;
    for (let page = pageOf(position); page * PAGE_SIZE < position + size; page++) {
      if (!this.#live.pages.has(page)) missing++;
    }
    return missing;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#change('write', position, bytes.length, bytes.slice());
  }

  zeroFill(position: number, size: number): void {
    this.#change('zeros', position, size, undefined);
  }

  truncate(size: number): void {
    this.#change('truncate', 0, size, undefined);
  }

  #change(kind: Change['kind'], position: number, size: number, bytes: Uint8Array | undefined) {
    const change: Change = { number: this.#nextNumber++, kind, position, size, bytes };
    this.#pending.push(change);
    apply(change, this.#live, this.#durable);
  }

  /** Everything changed so far has a lower number. */
  mark(): number {
    return this.#nextNumber;
  }

  /** A sync that began at `mark` has succeeded. */
  becomeDurable(mark: number): void {
    let done = 0;
    while (done < this.#pending.length && this.#pending[done]!.number < mark) {
      apply(this.#pending[done]!, this.#durable, this.#live);
      done++;
    }
    this.#pending.splice(0, done);
    invariant(this.#pending.length > 0 || this.#durable.size === this.#live.size, 'sizes differ');
  }

  /**
   * A sync that began at `mark` has failed. As real systems do, each change is written or forgotten
   * now, by chance, and no later sync tries again.
   */
  syncFailed(mark: number, random: Random): void {
    const covered = this.#pending.filter((change) => change.number < mark);
    this.#pending = this.#pending.filter((change) => change.number >= mark);
    loseSome(covered, this.#durable, this.#live, random);
  }

  /** Changes the medium itself: what is there now and what will be there after a crash. */
  overwriteRaw(bytes: Uint8Array, position: number): void {
    this.#live.write(bytes, position, this.#durable);
    this.#durable.write(bytes, position, this.#live);
  }

  /** What a crash leaves, as a file of its own. This one stays as it is. */
  afterCrash(random: Random, fate: CrashFate): FileData {
    const survivor = new FileData();
    // Not a single page may be shared with this file: each would change the other's.
    const image = this.#durable.deepCopy();
    if (fate === 'kept') for (const change of this.#pending) apply(change, image, this.#durable);
    else if (fate === 'random') loseSome(this.#pending, image, this.#durable, random);
    survivor.#durable = image;
    survivor.#live = image.copy();
    return survivor;
  }
}

/** What a crash does to unsynced changes. */
export type CrashFate = 'lost' | 'kept' | 'random';

function pageOf(position: number): number {
  return Math.floor(position / PAGE_SIZE);
}

class Image {
  size = 0;
  pages = new Map<number, Uint8Array>();

  copy(): Image {
    const copied = new Image();
    copied.size = this.size;
    copied.pages = new Map(this.pages);
    return copied;
  }

  deepCopy(): Image {
    const copied = this.copy();
    for (const [number, page] of copied.pages) {
      if (page !== ZERO_PAGE) copied.pages.set(number, page.slice());
    }
    return copied;
  }

  read(target: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(target.length, this.size - position));
    for (let done = 0; done < count; ) {
      const offset = (position + done) % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - offset, count - done);
      const page = this.pages.get(pageOf(position + done));
      if (page === undefined) target.fill(0, done, done + length);
      else target.set(page.subarray(offset, offset + length), done);
      done += length;
    }
    return count;
  }

  write(bytes: Uint8Array, position: number, sharer: Image): void {
    for (let done = 0; done < bytes.length; ) {
      const offset = (position + done) % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - offset, bytes.length - done);
      const page = this.#ownPage(pageOf(position + done), sharer);
      page.set(bytes.subarray(done, done + length), offset);
      done += length;
    }
    if (bytes.length > 0) this.size = Math.max(this.size, position + bytes.length);
  }

  zero(position: number, size: number, sharer: Image): void {
    for (let done = 0; done < size; ) {
      const offset = (position + done) % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - offset, size - done);
      const number = pageOf(position + done);
      if (length === PAGE_SIZE || !this.pages.has(number)) this.pages.set(number, ZERO_PAGE);
      else this.#ownPage(number, sharer).fill(0, offset, offset + length);
      done += length;
    }
    if (size > 0) this.size = Math.max(this.size, position + size);
  }

  truncate(size: number, sharer: Image): void {
    if (size < this.size) {
      const kept = pageOf(size);
      const offset = size % PAGE_SIZE;
      for (const number of [...this.pages.keys()]) {
        if (number > kept || (number === kept && offset === 0)) this.pages.delete(number);
      }
      if (offset > 0 && this.pages.has(kept)) this.#ownPage(kept, sharer).fill(0, offset);
    }
    this.size = size;
  }

  /** The page, made ours if it is shared. */
  #ownPage(number: number, sharer: Image): Uint8Array {
    const page = this.pages.get(number);
    if (page !== undefined && page !== ZERO_PAGE && page !== sharer.pages.get(number)) return page;
    const owned = page === undefined ? new Uint8Array(PAGE_SIZE) : page.slice();
    this.pages.set(number, owned);
    return owned;
  }
}

function apply(change: Change, image: Image, sharer: Image): void {
  if (change.kind === 'truncate') image.truncate(change.size, sharer);
  else applyPart(change, 0, change.size, image, sharer);
}

/** Applies bytes [from, to) of a `write` or `zeros`, counted from its position. */
function applyPart(change: Change, from: number, to: number, image: Image, sharer: Image): void {
  const at = change.position + from;
  if (change.bytes === undefined) image.zero(at, to - from, sharer);
  else image.write(change.bytes.subarray(from, to), at, sharer);
}

/**
 * Applies some of the changes: none, all, a prefix whose last write is cut between two sectors, or any
 * subset of all their sectors.
 */
function loseSome(changes: readonly Change[], image: Image, sharer: Image, random: Random): void {
  const mode = random.below(4);
  if (mode === 0) return;
  const cut = mode === 2 ? random.below(changes.length + 1) : changes.length;
  for (const [i, change] of changes.entries()) {
    if (mode === 3) applySubset(change, image, sharer, random);
    else if (i < cut) apply(change, image, sharer);
    else if (i === cut && change.kind !== 'truncate') {
      const sectors = sectorsOf(change);
      const keep = sectors[random.below(sectors.length)]!;
      applyPart(change, 0, keep, image, sharer);
    }
  }
}

function applySubset(change: Change, image: Image, sharer: Image, random: Random): void {
  const fate = random.below(3);
  if (fate === 0) {
    // The size is kept in another place than the bytes: it may have grown although they are lost.
    const end = change.position + change.size;
    if (change.kind !== 'truncate' && end > image.size && random.below(2) === 0) {
      image.truncate(end, sharer);
    }
    return;
  }
  if (fate === 1 || change.kind === 'truncate') {
    apply(change, image, sharer);
    return;
  }
  const sectors = sectorsOf(change);
  for (let i = 0; i + 1 < sectors.length; i++) {
    if (random.below(2) === 0) applyPart(change, sectors[i]!, sectors[i + 1]!, image, sharer);
  }
}

/** Where the change can be torn, from its position: 0, the sector boundaries inside, its size. */
function sectorsOf(change: Change): number[] {
  const boundaries = [0];
  const first = SECTOR_SIZE - (change.position % SECTOR_SIZE);
  for (let at = first; at < change.size; at += SECTOR_SIZE) boundaries.push(at);
  boundaries.push(change.size);
  return boundaries;
}
