// The codec object of a message: what generated functions need around them.

import { invariant } from '../../base/index.ts';
import type { MessageInfo } from '../descriptor.ts';
import type { Codec } from './codec.ts';
import { LENIENT, Reader, STRICT } from './reader.ts';

/** One for all messages: a decode runs to its end in one go. */
const reader = new Reader();

/** Whether every release of etcd takes the bytes that were decoded last, and reads the same in them. */
export function wasPlain(): boolean {
  return reader.wasPlain;
}

/** Bytes were read by hand, of a form that every release takes: {@link wasPlain} is true of them. */
export function noteRead(): void {
  reader.beginPlain();
}

/** Size of the slab that short messages share: a separate buffer costs about 0.5 us. */
const SLAB_BYTES = 16_384;
/** Longer messages get separate buffers, so that one that is kept keeps no large slab alive. */
const SLAB_SHARE_MAX = 2_048;

let slab = new Uint8Array(0);
let slabUsed = 0;

/** Fresh bytes without any other view. */
function freshBytes(size: number): Uint8Array {
  if (size > SLAB_SHARE_MAX) return new Uint8Array(size);
  if (size > slab.length - slabUsed) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  const start = slabUsed;
  slabUsed += size;
  return new Uint8Array(slab.buffer, start, size);
}

/** What the generator writes for a message. */
interface MessageFunctions<T, Init> {
  create(init: Init): T;
  /** A message with nothing set. */
  blank(): T;
  /** Reads up to the reader's limit, into `into` if given: occurrences of a message field merge. */
  read(reader: Reader, into: T | undefined): T;
  size(message: T): number;
  /** Writes bytes that end at `end`; returns where they begin. */
  put(message: T, target: Uint8Array, end: number): number;
}

export class GeneratedCodec<T, Init> implements Codec<T, Init> {
  readonly descriptor: MessageInfo;
  readonly #functions: MessageFunctions<T, Init>;

  constructor(descriptor: MessageInfo, functions: MessageFunctions<T, Init>) {
    this.descriptor = descriptor;
    this.#functions = functions;
  }

  get name(): string {
    return this.descriptor.name;
  }

  create(init?: Init): T {
    return init === undefined ? this.#functions.blank() : this.#functions.create(init);
  }

  decode(bytes: Uint8Array, start = 0, end = bytes.length): T {
    return this.#decode(bytes, start, end, LENIENT);
  }

  decodeRequest(bytes: Uint8Array): T {
    return this.#decode(bytes, 0, bytes.length, STRICT);
  }

  #decode(bytes: Uint8Array, start: number, end: number, strict: boolean): T {
    reader.open(this.descriptor, bytes, start, end, strict);
    const message = this.#functions.read(reader, undefined);
    invariant(reader.pos === end, 'a decoder reads to the end');
    reader.finish();
    return message;
  }

  size(message: T): number {
    return this.#functions.size(message);
  }

  write(message: T, target: Uint8Array, offset: number): number {
    const end = offset + this.#functions.size(message);
    invariant(end <= target.length, 'the caller made room for the message');
    const start = this.#functions.put(message, target, end);
    invariant(start === offset, 'a message has the size it said');
    return end;
  }

  encode(message: T): Uint8Array {
    const bytes = freshBytes(this.#functions.size(message));
    const start = this.#functions.put(message, bytes, bytes.length);
    invariant(start === 0, 'a message has the size it said');
    return bytes;
  }
}
