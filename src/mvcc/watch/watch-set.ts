// Watchers, found by key. Watchers of one range and variant form a group that gets the same events;
// those of one stream stand together in it, since they are offered them together.

import { invariant } from '../../base/index.ts';
import { FROM_KEY, SINGLE_KEY } from '../eval/key-range.ts';
import { IntervalTree } from './interval-tree.ts';
import { VARIANTS, type Watcher, type WatchStream } from './watcher.ts';

/** The watchers of one range. */
export class WatchRange {
  readonly key: string;
  readonly rangeEnd: string;
  /** By variant; see watcher.ts. */
  readonly groups: Watcher[][] = Array.from({ length: VARIANTS }, () => []);
  watcherCount = 0;
  /** A bit per group: whether watchers of a stream may stand apart since it was last used. */
  #scattered = 0;
  /** Numbers of the changes in the range; a dispatch fills and empties it. */
  matched: number[] = [];

  constructor(key: string, rangeEnd: string) {
    this.key = key;
    this.rangeEnd = rangeEnd;
  }

  add(watcher: Watcher): void {
    const group = this.groups[watcher.variant]!;
    this.#noteNeighbours(watcher, group.at(-1));
    watcher.position = group.length;
    group.push(watcher);
    this.watcherCount++;
  }

  remove(watcher: Watcher): void {
    const group = this.groups[watcher.variant]!;
    invariant(group[watcher.position] === watcher, 'a watcher is where it was put');
    const last = group.pop()!;
    if (last !== watcher) {
      this.#noteNeighbours(last, watcher);
      group[watcher.position] = last;
      last.position = watcher.position;
    }
    watcher.position = -1;
    this.watcherCount--;
  }

  /** A copy of a group, in which the watchers of each stream stand together. */
  byStream(variant: number): Watcher[] {
    const group = this.groups[variant]!;
    if ((this.#scattered & (1 << variant)) !== 0) {
      this.#scattered &= ~(1 << variant);
      const streams = new Map<WatchStream, Watcher[]>();
      for (const watcher of group) {
        const found = streams.get(watcher.stream);
        if (found === undefined) streams.set(watcher.stream, [watcher]);
        else found.push(watcher);
      }
      let at = 0;
      for (const watchers of streams.values()) {
        for (const watcher of watchers) {
          watcher.position = at;
          group[at++] = watcher;
        }
      }
    }
    return group.slice();
  }

  /** A watcher comes to stand beside another one, or takes its place. */
  #noteNeighbours({ stream, variant }: Watcher, other: Watcher | undefined): void {
    if (other?.stream !== stream && stream.watchers.size > 1) this.#scattered |= 1 << variant;
  }
}

export class WatchSet {
  /** Watchers in the set. */
  size = 0;
  readonly #keys = new Map<string, WatchRange>();
  readonly #ranges = new IntervalTree<WatchRange>();

  add(watcher: Watcher): void {
    const { key, rangeEnd } = watcher;
    let range = this.#find(key, rangeEnd);
    if (range === undefined) {
      range = new WatchRange(key, rangeEnd);
      if (rangeEnd === SINGLE_KEY) this.#keys.set(key, range);
      else this.#ranges.add(key, endOf(rangeEnd), range);
    }
    range.add(watcher);
    this.size++;
  }

  remove(watcher: Watcher): void {
    const { key, rangeEnd } = watcher;
    const range = this.#find(key, rangeEnd);
    invariant(range !== undefined, 'a watcher is where it was put');
    range.remove(watcher);
    this.size--;
    if (range.watcherCount > 0) return;
    if (rangeEnd === SINGLE_KEY) this.#keys.delete(key);
    else this.#ranges.remove(key, endOf(rangeEnd));
  }

  /** Adds all ranges that contain `key` to `into`. */
  match(key: string, into: WatchRange[]): void {
    const exact = this.#keys.get(key);
    if (exact !== undefined) into.push(exact);
    this.#ranges.stab(key, into);
  }

  #find(key: string, rangeEnd: string): WatchRange | undefined {
    return rangeEnd === SINGLE_KEY ? this.#keys.get(key) : this.#ranges.get(key, endOf(rangeEnd));
  }

  /** Violations of the set's rules. */
  check(): string[] {
    return this.#ranges.check();
  }
}

function endOf(rangeEnd: string): string | undefined {
  return rangeEnd === FROM_KEY ? undefined : rangeEnd;
}
