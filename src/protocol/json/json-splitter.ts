// Cuts a body that comes in chunks into the JSON values in it.

import { EMPTY_BYTES } from '../../base/index.ts';
import { isSpace, JsonScanner } from './json-scanner.ts';

export class JsonSplitter {
  readonly #scanner = new JsonScanner();
  /** The beginning of a value that goes on. */
  #parts: Uint8Array[] = [];
  #partsBytes = 0;

  /** Bytes kept of an incomplete value; the caller of `push` bounds them. */
  get heldBytes(): number {
    return this.#partsBytes;
  }

  /**
   * The values that end in `chunk`, one after the other, without the blanks around them: views of the chunk,
   * or copies. What goes on is copied. MALFORMED for what is no JSON.
   */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < chunk.length; ) {
      if (!this.#scanner.isInside) at = afterSpace(chunk, at);
      if (at === chunk.length) return;
      const end = this.#scanner.scan(chunk, at, chunk.length);
      const part = chunk.subarray(at, end < 0 ? chunk.length : end);
      if (end < 0) {
        this.#keep(part.slice());
        return;
      }
      yield this.#partsBytes === 0 ? part : this.#whole(part);
      at = end;
    }
  }

  /** No more chunks follow: the number that ends only now, if there is one. MALFORMED amid a value. */
  end(): Uint8Array | undefined {
    return this.#scanner.end() ? this.#whole(EMPTY_BYTES) : undefined;
  }

  #keep(part: Uint8Array): void {
    this.#parts.push(part);
    this.#partsBytes += part.length;
  }

  #whole(last: Uint8Array): Uint8Array {
    const whole = new Uint8Array(this.#partsBytes + last.length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    whole.set(last, at);
    this.#parts = [];
    this.#partsBytes = 0;
    return whole;
  }
}

function afterSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && isSpace(bytes[at]!)) at++;
  return at;
}
