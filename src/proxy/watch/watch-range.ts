// The watches at the cluster for one range of keys. There is one as a rule; a watcher that begins in the
// past, and one that begins now, have one of their own until that has caught up with another.

import type { UpstreamWatch } from './upstream-watch.ts';
import type { Watcher } from './watcher.ts';

/** Where watches are opened and closed: the stream to the cluster. */
export interface WatchOpener {
  open(range: WatchRange, startRevision: number): UpstreamWatch;
  /** Sends the request for a watch that was made and held back. */
  send(watch: UpstreamWatch): void;
  close(watch: UpstreamWatch): void;
  /** A header at the newest revision that the stream has told. */
  readonly newestHeader: Uint8Array;
}

export class WatchRange {
  /** The same for the same keys. */
  readonly name: string;
  /** As in a request: empty range end for one key, `\0` for all keys from `key` on. */
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly #opener: WatchOpener;
  /** Oldest first. */
  readonly #watches = new Set<UpstreamWatch>();
  /** A watch from now on whose request is under way. */
  #current: UpstreamWatch | undefined;
  /** The next one, held back so that all who come meanwhile share it. */
  #next: UpstreamWatch | undefined;

  constructor(name: string, key: Uint8Array, rangeEnd: Uint8Array, opener: WatchOpener) {
    this.name = name;
    this.key = key;
    this.rangeEnd = rangeEnd;
    this.#opener = opener;
  }

  get isEmpty(): boolean {
    return this.#watches.size === 0;
  }

  watches(): IterableIterator<UpstreamWatch> {
    return this.#watches.values();
  }

  /** Sends the requests of all watches again, after their stream was lost. */
  sendAgain(): void {
    for (const watch of this.#watches) if (watch !== this.#next) this.#opener.send(watch);
  }

  /** Finds or opens a watch for a watcher that has none. */
  place(watcher: Watcher): void {
    const watch = this.#watchFor(watcher.nextRevision);
    watch.add(watcher);
    if (watch.isOpen && watcher.header === undefined)
      watch.ready(watcher, this.#opener.newestHeader);
  }

  /** Takes a watcher out of its watch. */
  remove(watcher: Watcher): void {
    const { watch } = watcher;
    if (watch === undefined) return;
    watch.remove(watcher);
    if (watch.isEmpty) this.#close(watch);
  }

  /** Resumes a lagging watcher, on its watch or, if that no longer has what it lacks, on another one. */
  resume(watcher: Watcher): void {
    if (watcher.watch?.covers(watcher.nextRevision) !== true) {
      this.remove(watcher);
      this.#watchFor(watcher.nextRevision).add(watcher);
    }
    const { watch } = watcher;
    // Of one that is opened for it, the events are yet to come.
    if (watch!.isOpen) watch!.resume(watcher);
    else watcher.owner.onLagging(watcher);
  }

  /** The watch has moved on: its watchers may live on an older one now. */
  moved(watch: UpstreamWatch): void {
    for (const older of this.#watches) {
      if (older === watch) return;
      if (!older.isOpen || !older.covers(watch.nextRevision)) continue;
      watch.moveTo(older);
      if (watch.isEmpty) this.#close(watch);
      return;
    }
  }

  /** The cluster has answered the creation of a watch. */
  answered(watch: UpstreamWatch): void {
    if (watch !== this.#current) return;
    this.#current = this.#next;
    this.#next = undefined;
    if (this.#current !== undefined) this.#opener.send(this.#current);
  }

  /** The cluster has ended the watch. */
  forget(watch: UpstreamWatch): void {
    this.#watches.delete(watch);
    watch.recent.clear();
    if (watch === this.#next) this.#next = undefined;
    this.answered(watch);
  }

  #watchFor(revision: number): UpstreamWatch {
    if (revision === 0) return this.#fromNowOn();
    for (const watch of this.#watches) if (watch.covers(revision)) return watch;
    const opened = this.#open(revision);
    this.#opener.send(opened);
    return opened;
  }

  /**
   * A watch whose request is sent after this call: its answer has the revision from which on a watcher
   * that comes now gets events.
   */
  #fromNowOn(): UpstreamWatch {
    if (this.#current === undefined) {
      this.#current = this.#open(0);
      this.#opener.send(this.#current);
      return this.#current;
    }
    this.#next ??= this.#open(0);
    return this.#next;
  }

  #open(startRevision: number): UpstreamWatch {
    const watch = this.#opener.open(this, startRevision);
    this.#watches.add(watch);
    return watch;
  }

  #close(watch: UpstreamWatch): void {
    this.forget(watch);
    this.#opener.close(watch);
  }
}
