// Keys and values.

import { etcdserverpb } from '../protocol/index.ts';
import { checkFlags, checkInteger } from './arguments.ts';
import { invalidArgument } from './errors.ts';
import { type Bytes, rangeOf } from './key-range.ts';
import type { KeyValue } from './key-value.ts';
import { SCAN_PAGE_KEYS } from './limits.ts';
import type { CallOptions } from './options.ts';
import {
  type DeleteResult,
  deleteResultOf,
  type GetResult,
  getResultOf,
  type PutResult,
  putResultOf,
  type ResponseHeader,
  resultHeader,
} from './results.ts';
import { Scan } from './scan.ts';
import type { Calls } from './transport/calls.ts';
import {
  type DeleteOptions,
  deleteRequest,
  type GetOptions,
  type PutOptions,
  putRequest,
  rangeRequest,
} from './transport/requests.ts';
import { serverStream } from './transport/server-stream.ts';
import { Txn } from './txn.ts';

const { methods } = etcdserverpb.KVService;

/** Options of {@link KvClient.scan}. */
export interface ScanOptions
  extends Pick<
    GetOptions,
    'prefix' | 'fromKey' | 'rangeEnd' | 'revision' | 'serializable' | 'keysOnly'
  > {
  /** Keys fetched at a time. Default 1,000. */
  readonly pageKeys?: number | undefined;
}

/** Options of {@link KvClient.compact}. */
export interface CompactOptions {
  /** Resolve only when the old revisions are removed from the member's database. */
  readonly physical?: boolean | undefined;
}

/** Reads, writes and transactions of keys. Calls reject as the client's `README.md` says. */
export class KvClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Reads one key, or a range of keys, sorted by key by default. */
  async get(key: Bytes, options: GetOptions & CallOptions = {}): Promise<GetResult> {
    const request = rangeRequest(key, options);
    return getResultOf(await this.#calls.unary(methods.range, request, options, 'always'));
  }

  /**
   * As `get`, as a stream of partial results, so that neither side holds the whole answer in memory.
   * Servers older than 3.7 answer UNIMPLEMENTED.
   */
  async *getStream(
    key: Bytes,
    options: GetOptions & CallOptions = {},
  ): AsyncGenerator<GetResult, void, undefined> {
    const request = rangeRequest(key, options);
    for await (const { rangeResponse } of serverStream(
      this.#calls,
      methods.rangeStream,
      request,
      options,
    )) {
      if (rangeResponse !== undefined) yield getResultOf(rangeResponse);
    }
  }

  /** Reads every key of a range in order, page by page, all at the revision of the first page. */
  scan(key: Bytes, options: ScanOptions & CallOptions = {}): Scan {
    return new Scan((atRevision) => this.#pages(key, options, atRevision));
  }

  async *#pages(
    key: Bytes,
    options: ScanOptions & CallOptions,
    atRevision: (revision: number) => void,
  ): AsyncGenerator<KeyValue, void, undefined> {
    const range = rangeOf(key, options);
    const { pageKeys = SCAN_PAGE_KEYS, prefix: _, fromKey: __, ...rest } = options;
    checkInteger(pageKeys, 'pageKeys');
    if (pageKeys < 1) {
      throw invalidArgument(`pageKeys is not a positive integer: ${pageKeys}`);
    }
    let { key: from } = range;
    let { revision = 0 } = options;
    for (;;) {
      const page = await this.get(from, {
        ...rest,
        ...(range.rangeEnd.length === 0 ? {} : { rangeEnd: range.rangeEnd }),
        limit: pageKeys,
        revision,
      });
      if (revision === 0) revision = page.header.revision;
      atRevision(revision);
      yield* page.kvs;
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return;
      // The next possible key: the last one followed by a zero byte.
      from = new Uint8Array(last.key.length + 1);
      from.set(last.key);
    }
  }

  async put(key: Bytes, value: Bytes, options: PutOptions & CallOptions = {}): Promise<PutResult> {
    const request = putRequest(key, value, options);
    return putResultOf(await this.#calls.unary(methods.put, request, options, 'unbegun'));
  }

  async delete(key: Bytes, options: DeleteOptions & CallOptions = {}): Promise<DeleteResult> {
    const request = deleteRequest(key, options);
    return deleteResultOf(
      await this.#calls.unary(methods.deleteRange, request, options, 'unbegun'),
    );
  }

  /** A transaction, to be executed by its `commit`. */
  txn(): Txn {
    return new Txn(this.#calls);
  }

  /** Compacts the history before `revision`: reads of older revisions then fail with COMPACTED. */
  async compact(
    revision: number,
    options: CompactOptions & CallOptions = {},
  ): Promise<ResponseHeader> {
    checkInteger(revision, 'revision');
    checkFlags(options, ['physical']);
    const request = methods.compact.request.create({
      revision,
      physical: options.physical ?? false,
    });
    const response = await this.#calls.unary(methods.compact, request, options, 'unbegun');
    return resultHeader(response.header);
  }
}
