// The content of a file in memory. Pages that hold only zeros take no memory: a segment of the log
// is 64 MB of them when it is put into use.

const PAGE_SIZE = 4096;

export class SparseBytes {
  readonly #pages = new Map<number, Uint8Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Fills `target` from `position`; returns the bytes read, fewer only at the end. */
  read(target: Uint8Array, position: number): number {
    const end = Math.min(this.#size, position + target.length);
    for (let at = position; at < end; ) {
      const from = at % PAGE_SIZE;
      const count = Math.min(PAGE_SIZE - from, end - at);
      const page = this.#pages.get(Math.floor(at / PAGE_SIZE));
      if (page === undefined) target.fill(0, at - position, at - position + count);
      else target.set(page.subarray(from, from + count), at - position);
      at += count;
    }
    return Math.max(0, end - position);
  }

  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      const at = position + done;
      const from = at % PAGE_SIZE;
      const count = Math.min(PAGE_SIZE - from, bytes.length - done);
      this.#pageAt(at).set(bytes.subarray(done, done + count), from);
      done += count;
    }
    if (bytes.length > 0) this.#size = Math.max(this.#size, position + bytes.length);
  }

  zeroFill(from: number, to: number): void {
    this.#erase(from, to);
    this.#size = Math.max(this.#size, to);
  }

  truncate(size: number): void {
    this.#erase(size, this.#size);
    this.#size = size;
  }

  #pageAt(position: number): Uint8Array {
    const number = Math.floor(position / PAGE_SIZE);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE_SIZE);
      this.#pages.set(number, page);
    }
    return page;
  }

  #erase(from: number, to: number): void {
    for (let at = from; at < to; ) {
      const number = Math.floor(at / PAGE_SIZE);
      const begin = at % PAGE_SIZE;
      const count = Math.min(PAGE_SIZE - begin, to - at);
      if (count === PAGE_SIZE) this.#pages.delete(number);
      else this.#pages.get(number)?.fill(0, begin, begin + count);
      at += count;
    }
  }
}
