// One watcher, and the stream that its events go to.

import type { Revision } from '../../base/index.ts';
import type { EventBatch } from './event-batch.ts';

/**
 * Where a watcher stands.
 *   SYNCED    it has seen every event; new ones are offered as they happen (etcd's synced)
 *   WAITING   it is behind and waits for the next pass over the store (etcd's unsynced)
 *   PASSING   a pass is catching it up (unsynced too)
 *   BLOCKED   its stream took no more; it waits for the stream to resume (etcd's victim)
 *   COMPACTED its revisions are compacted; the stream knows, and it gets no further event
 *   CANCELED  removed from its stream
 */
export const WATCHER_STATE = {
  SYNCED: 0,
  WAITING: 1,
  PASSING: 2,
  BLOCKED: 3,
  COMPACTED: 4,
  CANCELED: 5,
} as const;
type WatcherState = (typeof WATCHER_STATE)[keyof typeof WATCHER_STATE];

/**
 * What the stream's owner does with events. Its methods may close their own stream, if it breaks
 * meanwhile, and call nothing else of the hub.
 */
export interface WatchSink {
  /**
   * Takes over a batch for each watcher of `watchers[from, to)`, all of one stream, in this order.
   * Returns for how many: the rest is refused since its buffer is full; then the hub offers them the
   * batch (or a larger one that begins with it) again after `resume`. A sink whose buffer is empty must
   * take a batch of any size for the first of them. Batches of a watcher come in revision order.
   */
  offer(watchers: readonly Watcher[], from: number, to: number, batch: EventBatch): number;
  /** The watcher ends: revisions it has not seen are compacted. Never refused. */
  compacted(watcher: Watcher, compactedRev: Revision): void;
}

/** Bits of a watcher's variant: watchers of one range and variant get the same. */
export const NO_PUT = 1;
export const NO_DELETE = 2;
export const WITH_PREVIOUS = 4;
export const VARIANTS = 8;

export class Watcher {
  readonly stream: WatchStream;
  readonly id: bigint;
  readonly key: string;
  readonly rangeEnd: string;
  readonly variant: number;
  /** First revision that it asked for; 0 for "from now on". */
  readonly startRev: Revision;
  /** Events before this revision are not for it, or were taken by its stream. Never goes back. */
  minRev: Revision;
  /** Moved by the hub only. */
  state: WatcherState = WATCHER_STATE.WAITING;
  /** Place in the group of the watch set that it is in. */
  position = -1;
  /** Data of the sink about it, which the hub does not read. */
  ofSink: unknown = undefined;

  constructor(stream: WatchStream, id: bigint, options: WatchOptions, minRev: Revision) {
    this.stream = stream;
    this.id = id;
    this.key = options.key;
    this.rangeEnd = options.rangeEnd;
    this.startRev = options.startRev;
    this.variant =
      (options.noPut ? NO_PUT : 0) |
      (options.noDelete ? NO_DELETE : 0) |
      (options.withPrevious ? WITH_PREVIOUS : 0);
    this.minRev = minRev;
  }
}

/** What a watcher watches. */
export interface WatchOptions {
  /** Never empty: the server turns an empty key into a zero byte. */
  readonly key: string;
  /** As in requests: empty for the key alone, a zero byte for no upper bound. */
  readonly rangeEnd: string;
  /** 0 for "from now on"; not negative. */
  readonly startRev: Revision;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly withPrevious: boolean;
}

/** The watchers that share a sink, by id. */
export class WatchStream {
  readonly sink: WatchSink;
  readonly watchers = new Map<bigint, Watcher>();
  /** Smallest id that was not chosen for a watcher yet. */
  nextId = 0n;
  closed = false;

  constructor(sink: WatchSink) {
    this.sink = sink;
  }
}
