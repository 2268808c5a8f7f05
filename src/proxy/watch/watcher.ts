// A watcher of a client, and its place among the watches of the cluster.

import type { EventRun } from './event-run.ts';
import type { UpstreamWatch } from './upstream-watch.ts';
import type { WatchRange } from './watch-range.ts';

/**
 *     CREATING --its watch is open--> READY --created is sent--> LAGGING <--the client is full-- ATTACHED
 *                                                                   '----caught up---------------^
 *
 * and GONE from each of them.
 */
export const WATCHER_STATE = {
  /** Its watch is not open at the cluster yet. */
  CREATING: 0,
  /** Nothing has been sent yet: requests before it have not been answered. */
  READY: 1,
  /** It has not had all events that its watch has had. */
  LAGGING: 2,
  /** It gets what its watch gets. */
  ATTACHED: 3,
  GONE: 4,
} as const;
type WatcherState = (typeof WATCHER_STATE)[keyof typeof WATCHER_STATE];

/** Who gets the watcher's responses: the stream of its client. */
export interface WatcherOwner {
  /** Whether the client reads too slowly: nothing more is sent. */
  readonly full: boolean;
  /** The watcher's watch is open. */
  onReady(): void;
  /** Sends the events of the run that the watcher has not had. */
  sendRun(watcher: Watcher, run: EventRun): void;
  sendProgress(watcher: Watcher, header: Uint8Array): void;
  /** The cluster has ended the watch: the watcher is gone. */
  onCanceled(watcher: Watcher, cancellation: Cancellation): void;
  /** The watcher lags: it is to be resumed once the client reads again, if it still lags then. */
  onLagging(watcher: Watcher): void;
}

/** How the cluster ends a watch, or refuses to open it. */
export interface Cancellation {
  readonly header: Uint8Array;
  /** 0 unless it is for a compaction. */
  readonly compactRevision: number;
  readonly reason: string;
}

export class Watcher {
  readonly id: bigint;
  /** The id as an encoded field. */
  readonly idField: Uint8Array;
  readonly range: WatchRange;
  readonly owner: WatcherOwner;
  /** See `VARIANT`. */
  readonly variant: number;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
  state: WatcherState = WATCHER_STATE.CREATING;
  /** Events before this revision are not for it, or it has had them; 0 until a watch from now on is open. */
  nextRevision: number;
  /** The watch that it is a member of; undefined before and after. */
  watch: UpstreamWatch | undefined = undefined;
  /** Its place among the attached ones of its watch. */
  slot = -1;
  /** Header of its created response, once it is ready. */
  header: Uint8Array | undefined = undefined;
  refusal: Cancellation | undefined = undefined;
  /** The client has canceled it before it was told of its creation. */
  isUnwanted = false;

  constructor(
    owner: WatcherOwner,
    settings: Pick<
      Watcher,
      'id' | 'idField' | 'range' | 'variant' | 'progressNotify' | 'fragment' | 'nextRevision'
    >,
  ) {
    this.owner = owner;
    this.id = settings.id;
    this.idField = settings.idField;
    this.range = settings.range;
    this.variant = settings.variant;
    this.progressNotify = settings.progressNotify;
    this.fragment = settings.fragment;
    this.nextRevision = settings.nextRevision;
  }
}
