// Watchers, found by key. Watchers of one range and variant form a group that gets the same events.

import { invariant } from '../../base/index.ts';
import { FROM_KEY, SINGLE_KEY } from '../eval/key-range.ts';
import { IntervalTree } from './interval-tree.ts';
import { VARIANTS, type Watcher } from './watcher.ts';

/** The watchers of one range. */
export class WatchRange {
  readonly key: string;
  readonly rangeEnd: string;
  /** By variant; see watcher.ts. */
  readonly groups: Watcher[][] = Array.from({ length: VARIANTS }, () => []);
  watcherCount = 0;
  /** Numbers of the changes in the range; a dispatch fills and empties it. */
  matched: number[] = [];

  constructor(key: string, rangeEnd: string) {
    this.key = key;
    this.rangeEnd = rangeEnd;
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
    const group = range.groups[watcher.variant]!;
    watcher.position = group.length;
    group.push(watcher);
    range.watcherCount++;
    this.size++;
  }

  remove(watcher: Watcher): void {
    const { key, rangeEnd } = watcher;
    const range = this.#find(key, rangeEnd);
    const group = range?.groups[watcher.variant];
    invariant(range !== undefined && group !== undefined, 'a watcher is where it was put');
    invariant(group[watcher.position] === watcher, 'a watcher is where it was put');
    const last = group.pop()!;
    if (last !== watcher) {
      group[watcher.position] = last;
      last.position = watcher.position;
    }
    watcher.position = -1;
    this.size--;
    if (--range.watcherCount > 0) return;
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
