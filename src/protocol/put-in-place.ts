// A put request whose key and value stay where they lie: two views of an array less for each request.
//
//   key 1, value 2, lease 3, prev_kv 4, ignore_value 5, ignore_lease 6
//
// Hot: read twice per put, at the door and from the log. The form that nearly all puts have is read
// here, a key and then a value; every other form by the message's own codec.

import { EMPTY_BYTES, latin1FromBytes } from '../base/index.ts';
import { type PutRequest, PutRequestCodec } from './gen/code/etcdserverpb/kv.ts';
import { noteRead } from './wire/generated-codec.ts';

const TAG_KEY = 0x0a;
const TAG_VALUE = 0x12;

export class PutInPlace implements PutRequest {
  #keyBytes: Uint8Array = EMPTY_BYTES;
  #keyOffset = 0;
  keyLength = 0;
  /** Holds the value, among other bytes. */
  valueBytes: Uint8Array = EMPTY_BYTES;
  valueOffset = 0;
  valueLength = 0;
  lease = 0n;
  prevKv = false;
  ignoreValue = false;
  ignoreLease = false;

  /** A view. */
  get key(): Uint8Array {
    return this.#keyBytes.subarray(this.#keyOffset, this.#keyOffset + this.keyLength);
  }

  /** A view. */
  get value(): Uint8Array {
    return this.valueBytes.subarray(this.valueOffset, this.valueOffset + this.valueLength);
  }

  /** The key, one char per byte. */
  keyText(): string {
    return latin1FromBytes(this.#keyBytes, this.#keyOffset, this.#keyOffset + this.keyLength);
  }

  /** Becomes a request that was read before, and shares its bytes. */
  accept(request: PutRequest): this {
    this.#keyBytes = request.key;
    this.#keyOffset = 0;
    this.keyLength = request.key.length;
    this.valueBytes = request.value;
    this.valueOffset = 0;
    this.valueLength = request.value.length;
    this.lease = request.lease;
    this.prevKv = request.prevKv;
    this.ignoreValue = request.ignoreValue;
    this.ignoreLease = request.ignoreLease;
    return this;
  }

  /** Becomes the request in `bytes[start, end)`; false, and unchanged, if it has another form. */
  acceptUsual(bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end || bytes[start] !== TAG_KEY) return false;
    const keyOffset = lengthRead(bytes, start + 1, end);
    const valueTag = keyOffset + readLength;
    if (keyOffset === 0 || valueTag > end) return false;
    const keyLength = readLength;
    let valueOffset = end;
    if (valueTag === end) readLength = 0;
    else {
      if (bytes[valueTag] !== TAG_VALUE) return false;
      valueOffset = lengthRead(bytes, valueTag + 1, end);
      if (valueOffset === 0 || valueOffset + readLength !== end) return false;
    }
    this.#keyBytes = bytes;
    this.#keyOffset = keyOffset;
    this.keyLength = keyLength;
    this.valueBytes = bytes;
    this.valueOffset = valueOffset;
    this.valueLength = readLength;
    this.lease = 0n;
    this.prevKv = false;
    this.ignoreValue = false;
    this.ignoreLease = false;
    return true;
  }
}

/** What {@link lengthRead} has read. */
let readLength = 0;

/** Reads a length of at most four bytes; returns where it ends, or 0 if there is none. */
function lengthRead(bytes: Uint8Array, start: number, end: number): number {
  readLength = 0;
  for (let at = start, shift = 0; at < end && shift < 28; at++, shift += 7) {
    const byte = bytes[at]!;
    readLength |= (byte & 127) << shift;
    if (byte < 128) return at + 1;
  }
  return 0;
}

/** Reads a request of a client, as its codec does: MALFORMED or NUMBER_TOO_LARGE if it is none. */
export function readPutRequest(bytes: Uint8Array): PutInPlace {
  const put = new PutInPlace();
  if (put.acceptUsual(bytes, 0, bytes.length)) {
    noteRead();
    return put;
  }
  return put.accept(PutRequestCodec.decodeRequest(bytes));
}

/** Reads a request from the log into `put`; throws as {@link readPutRequest}. */
export function readLoggedPut(
  bytes: Uint8Array,
  start: number,
  end: number,
  put: PutInPlace,
): void {
  if (!put.acceptUsual(bytes, start, end)) put.accept(PutRequestCodec.decode(bytes, start, end));
}
