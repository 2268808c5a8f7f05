// Answers to reads, for serializable ones that ask the same again. Rules are etcd's: every answer of a read
// is kept, for a linearizable one too; what goes through this proxy and may change a key drops the answers
// about it; what others change does not, so that an answer may be old. Least recently used ones go first.

import { latin1FromBytes } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import {
  CACHE_ANSWER_BYTES_MAX,
  CACHE_BYTES_MAX,
  CACHE_ENTRIES_MAX,
  CACHE_RANGES_MAX,
} from '../limits.ts';

/** A read whose answer is kept, or is to be once it is there. */
export class CacheEntry {
  readonly name: string;
  readonly key: string;
  /** As in a request, one char per byte. */
  readonly rangeEnd: string;
  /** Reads of a revision never change. */
  readonly revision: number;
  /** The encoded answer. */
  reply: Uint8Array | undefined = undefined;

  constructor(name: string, { key, rangeEnd, revision }: etcdserverpb.RangeRequest) {
    this.name = name;
    this.key = latin1FromBytes(key);
    this.rangeEnd = latin1FromBytes(rangeEnd);
    this.revision = revision;
  }
}

export class RangeCache {
  /** Least recently used first. */
  readonly #entries = new Map<string, CacheEntry>();
  /** Those about the newest revision: of one key, by the key; of ranges. */
  readonly #points = new Map<string, Set<CacheEntry>>();
  readonly #ranges = new Set<CacheEntry>();
  #bytes = 0;
  #compactedRevision = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Whether what the request asks for is known to be compacted. */
  isCompacted({ revision }: etcdserverpb.RangeRequest): boolean {
    return revision > 0 && revision < this.#compactedRevision;
  }

  /** The answer that is kept; valid until the next change. */
  find(request: etcdserverpb.RangeRequest): Uint8Array | undefined {
    const entry = this.#entries.get(nameOf(request));
    if (entry?.reply === undefined) return undefined;
    this.#entries.delete(entry.name);
    this.#entries.set(entry.name, entry);
    return entry.reply;
  }

  /** Before the request is passed on: a change until the answer is there counts as after it. */
  expect(request: etcdserverpb.RangeRequest): CacheEntry {
    const name = nameOf(request);
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const entry = new CacheEntry(name, request);
    this.#entries.set(name, entry);
    if (entry.revision === 0 && entry.rangeEnd !== '') this.#ranges.add(entry);
    else if (entry.revision === 0) {
      const others = this.#points.get(entry.key);
      if (others === undefined) this.#points.set(entry.key, new Set([entry]));
      else others.add(entry);
    }
    this.#makeRoom();
    return entry;
  }

  /** The answer to what was expected, copied; not kept if it was dropped meanwhile. */
  fill(entry: CacheEntry, reply: Uint8Array): void {
    if (this.#entries.get(entry.name) !== entry) return;
    if (reply.length > CACHE_ANSWER_BYTES_MAX) {
      this.#drop(entry);
      return;
    }
    this.#bytes += reply.length - (entry.reply?.length ?? 0);
    entry.reply = new Uint8Array(reply);
    this.#makeRoom();
  }

  /** There is no answer. */
  forget(entry: CacheEntry): void {
    if (entry.reply === undefined && this.#entries.get(entry.name) === entry) this.#drop(entry);
  }

  /** Drops what a change of the range may concern: key and range end as in a request, one char per byte. */
  invalidate(from: string, end: string): void {
    if (this.#entries.size === 0) return;
    if (end === '') {
      for (const entry of [...(this.#points.get(from) ?? [])]) this.#drop(entry);
    } else {
      for (const [point, entries] of [...this.#points]) {
        if (point >= from && isBefore(point, end))
          for (const entry of [...entries]) this.#drop(entry);
      }
    }
    for (const entry of [...this.#ranges]) {
      const reachesIt = end === '' ? entry.key <= from : isBefore(entry.key, end);
      if (reachesIt && isBefore(from, entry.rangeEnd)) this.#drop(entry);
    }
  }

  compact(revision: number): void {
    this.#compactedRevision = Math.max(this.#compactedRevision, revision);
  }

  clear(): void {
    for (const entry of [...this.#entries.values()]) this.#drop(entry);
  }

  #drop(entry: CacheEntry): void {
    this.#entries.delete(entry.name);
    this.#bytes -= entry.reply?.length ?? 0;
    this.#ranges.delete(entry);
    const others = this.#points.get(entry.key);
    if (others?.delete(entry) === true && others.size === 0) this.#points.delete(entry.key);
  }

  #makeRoom(): void {
    while (this.#entries.size > CACHE_ENTRIES_MAX || this.#bytes > CACHE_BYTES_MAX) {
      const [oldest] = this.#entries.values();
      this.#drop(oldest!);
    }
    while (this.#ranges.size > CACHE_RANGES_MAX) {
      const [oldest] = this.#ranges;
      this.#drop(oldest!);
    }
  }
}

/** `end` as in a request: `\0` is beyond every key. */
function isBefore(key: string, end: string): boolean {
  return end === '\0' || key < end;
}

/** The same for linearizable and serializable reads. */
function nameOf(request: etcdserverpb.RangeRequest): string {
  const { RangeRequestCodec } = etcdserverpb;
  return latin1FromBytes(RangeRequestCodec.encode({ ...request, serializable: true }));
}
