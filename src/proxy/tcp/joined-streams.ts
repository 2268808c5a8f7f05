// Two byte streams joined: what one receives the other sends, at the pace of the slower one. Half-closes
// pass through; when one is lost, the other is closed.

import type { ByteStream, ByteStreamHandler } from '../../env/index.ts';

/** `onClosed` is called once, when both are closed. */
export function joinStreams(one: ByteStream, other: ByteStream, onClosed: () => void): void {
  let open = 2;
  const closed = (): void => {
    open--;
    if (open === 0) onClosed();
  };
  one.handler = new OneWay(one, other, closed);
  other.handler = new OneWay(other, one, closed);
}

/** From one stream to the other. */
class OneWay implements ByteStreamHandler {
  readonly #from: ByteStream;
  readonly #to: ByteStream;
  readonly #closed: () => void;

  constructor(from: ByteStream, to: ByteStream, closed: () => void) {
    this.#from = from;
    this.#to = to;
    this.#closed = closed;
  }

  onData(bytes: Uint8Array): void {
    // The bytes are valid during this call only.
    if (!this.#to.write(Uint8Array.from(bytes))) this.#from.pause();
  }

  /** What this side sends is what the other has received. */
  onDrain(): void {
    this.#to.resume();
  }

  onEnd(): void {
    this.#to.end();
  }

  onClose(): void {
    this.#to.destroy();
    this.#closed();
  }
}
