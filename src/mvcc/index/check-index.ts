// Lists what is wrong with a key index, and prints one for golden scripts.

import type { KeyIndex } from './key-index.ts';
import {
  F_CREATE,
  F_MAIN,
  F_VERSION,
  FLOATS,
  I_LEASE,
  I_SUB,
  INTEGERS,
  type Leaf,
} from './leaf.ts';

/** Every violation; empty if all is well. */
export function checkIndex(index: KeyIndex): string[] {
  const wrong = index.tree.check();
  let keys = 0;
  let records = index.compaction?.condemnedCount() ?? 0;
  let leaf: Leaf | undefined = index.tree.firstLeaf;
  for (; leaf !== undefined; leaf = leaf.next) {
    let live = 0;
    let leased = 0;
    let withHistory = 0;
    for (let rank = 0; rank < leaf.size; rank++) {
      const slot = leaf.slotAt(rank);
      const key = leaf.keyAt(rank);
      keys++;
      if (leaf.isLive(slot)) live++;
      if (leaf.integers[slot * INTEGERS + I_LEASE] !== 0) leased++;
      if (leaf.head(slot) !== 0) withHistory++;
      records += checkKey(index, leaf, slot, key, wrong);
    }
    if (live !== leaf.live) wrong.push(`a leaf of ${live} live keys says ${leaf.live}`);
    if (leased !== leaf.leased) wrong.push(`a leaf of ${leased} leased keys says ${leaf.leased}`);
    if (withHistory !== leaf.withHistory) wrong.push('a leaf miscounts its histories');
  }
  if (keys !== index.keyCount) wrong.push(`${keys} keys, keyCount ${index.keyCount}`);
  if (records !== index.history.used) {
    wrong.push(`${records} older revisions in use, ${index.history.used} handed out`);
  }
  return wrong;
}

/** Checks one key; returns the length of its history. */
function checkKey(index: KeyIndex, leaf: Leaf, slot: number, key: string, wrong: string[]): number {
  const { history } = index;
  let newerMain = leaf.floats[slot * FLOATS + F_MAIN]!;
  let newerSub = leaf.integers[slot * INTEGERS + I_SUB]! >>> 1;
  if (newerMain > index.newestRev) wrong.push(`${key}: a revision above the newest`);
  if (!leaf.isLive(slot) && leaf.integers[slot * INTEGERS + I_LEASE] !== 0) {
    wrong.push(`${key}: dead, yet with a lease`);
  }
  let length = 0;
  for (let handle = leaf.head(slot); handle !== 0; handle = history.previous(handle)) {
    const main = history.main(handle);
    const sub = history.packedSub(handle) >>> 1;
    if (main > newerMain || (main === newerMain && sub >= newerSub)) {
      wrong.push(`${key}: ${main}.${sub} is not before ${newerMain}.${newerSub}`);
    }
    newerMain = main;
    newerSub = sub;
    if (++length > index.history.used) {
      wrong.push(`${key}: its history does not end`);
      return length;
    }
  }
  return length;
}

/** One line per key: its revisions, newest first, with creation and version of puts. */
export function describeKeyIndex(index: KeyIndex): string {
  const { history } = index;
  const lines: string[] = [];
  let leaf: Leaf | undefined = index.tree.firstLeaf;
  for (; leaf !== undefined; leaf = leaf.next) {
    for (let rank = 0; rank < leaf.size; rank++) {
      const slot = leaf.slotAt(rank);
      const key = leaf.keyAt(rank);
      const f = slot * FLOATS;
      const lease = leaf.integers[slot * INTEGERS + I_LEASE]!;
      const revisions = [
        describeRevision(
          leaf.floats[f + F_MAIN]!,
          leaf.integers[slot * INTEGERS + I_SUB]!,
          leaf.floats[f + F_CREATE]!,
          leaf.floats[f + F_VERSION]!,
        ),
      ];
      for (let handle = leaf.head(slot); handle !== 0; handle = history.previous(handle)) {
        revisions.push(
          describeRevision(
            history.main(handle),
            history.packedSub(handle),
            history.createMain(handle),
            history.version(handle),
          ),
        );
      }
      lines.push(`${key}: ${revisions.join(' <- ')}${lease === 0 ? '' : ` lease slot ${lease}`}`);
    }
  }
  return lines.length === 0 ? '(empty)' : lines.join('\n');
}

function describeRevision(main: number, packed: number, create: number, version: number): string {
  const name = `${main}.${packed >>> 1}`;
  return (packed & 1) !== 0 ? `${name} deleted` : `${name} (create ${create}, version ${version})`;
}
