// Header blocks: a HEADERS frame and the CONTINUATION frames that may follow it, joined, decoded and
// interpreted.

import { EMPTY_BYTES, ERROR_CODES, hasCode, invariant } from '../../base/index.ts';
import { type HeaderField, HpackDecoder } from '../hpack/index.ts';
import type { ConnectionLimits } from '../limits.ts';
import { BlockCache } from './block-cache.ts';
import { ConnectionError, DEFAULT_HEADER_TABLE_BYTES, HTTP2_ERROR } from './protocol.ts';

/** The owner of the connection. A method may take any heads where unknown ones are asked for. */
interface HeadParser<Head> {
  /**
   * What a header list means; `fields` is reused by the next list. `last` is that of an earlier block, which
   * nothing else will be given: it may be changed and returned.
   */
  parse(fields: readonly HeaderField[], last: Head | undefined): Head;
}

export class HeaderBlocks<Head> {
  /** The stream whose block is incomplete; 0 if none is. */
  streamId = 0;
  /** Whether its HEADERS frame had END_STREAM. */
  endStream = false;
  readonly #limits: ConnectionLimits;
  readonly #parser: HeadParser<Head>;
  readonly #decoder: HpackDecoder;
  readonly #cache = new BlockCache<Head>();
  /** That of the last block that is not in the cache. */
  #last: Head | undefined = undefined;
  #bytes: Uint8Array = EMPTY_BYTES;
  #length = 0;

  constructor(limits: ConnectionLimits, parser: HeadParser<Head>) {
    this.#limits = limits;
    this.#parser = parser;
    this.#decoder = new HpackDecoder(DEFAULT_HEADER_TABLE_BYTES, limits.headerListBytesMax);
  }

  /** Keeps the first fragment of a block that CONTINUATION frames will complete. */
  begin(streamId: number, endStream: boolean, bytes: Uint8Array, start: number, end: number): void {
    invariant(this.streamId === 0, 'one block is incomplete at a time');
    this.streamId = streamId;
    this.endStream = endStream;
    this.#append(bytes, start, end);
  }

  /** Adds the fragment of a CONTINUATION frame. */
  add(bytes: Uint8Array, start: number, end: number): void {
    this.#append(bytes, start, end);
  }

  /** Decodes the joined block. Undefined if its list is larger than allowed. */
  finish(): Head | undefined {
    const bytes = this.#bytes;
    const length = this.#length;
    this.streamId = 0;
    this.#bytes = EMPTY_BYTES;
    this.#length = 0;
    return this.decode(bytes, 0, length);
  }

  /** Decodes a block that came in one frame. Undefined if its list is larger than allowed. */
  decode(bytes: Uint8Array, start: number, end: number): Head | undefined {
    const decoder = this.#decoder;
    const generation = decoder.generation;
    const known = this.#cache.get(bytes, start, end, generation);
    if (known !== undefined) return known;
    try {
      decoder.decode(bytes, start, end);
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.MALFORMED)) throw error;
      throw new ConnectionError(HTTP2_ERROR.COMPRESSION_ERROR, error.message);
    }
    if (decoder.tooLarge) return undefined;
    if (decoder.generation === generation && this.#cache.isRepeated(bytes, start, end)) {
      const head = this.#parser.parse(decoder.fields, undefined);
      this.#cache.put(bytes, start, end, generation, head);
      return head;
    }
    this.#last = this.#parser.parse(decoder.fields, this.#last);
    return this.#last;
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.#length + (end - start);
    if (length > this.#limits.headerBlockBytesMax) {
      throw new ConnectionError(HTTP2_ERROR.ENHANCE_YOUR_CALM, 'header block too large');
    }
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length = length;
  }
}
