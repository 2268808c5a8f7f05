// A set of node ids as a sorted array without duplicates. Groups have few members: an array is
// smaller and faster than a `Set`, iterates in the order in which ids are printed, and, being
// immutable, can be shared between an old configuration and the next.

import { compareUint64 } from '../../base/index.ts';
import { hexId, type NodeId } from '../ids.ts';

/** Ascending, no duplicates, never changed. */
export type IdSet = readonly NodeId[];

export const EMPTY_ID_SET: IdSet = [];

export function idSet(ids: Iterable<NodeId>): IdSet {
  return [...new Set(ids)].sort(compareUint64);
}

export function hasId(set: IdSet, id: NodeId): boolean {
  for (let i = 0; i < set.length; i++) if (set[i] === id) return true;
  return false;
}

/** `set` itself if it has `id` already. */
export function withId(set: IdSet, id: NodeId): IdSet {
  return hasId(set, id) ? set : [...set, id].sort(compareUint64);
}

/** `set` itself if it does not have `id`. */
export function withoutId(set: IdSet, id: NodeId): IdSet {
  return hasId(set, id) ? set.filter((other) => other !== id) : set;
}

export function unionOf(...sets: readonly IdSet[]): IdSet {
  return idSet(sets.flat());
}

/** How many ids are in exactly one of the two sets. */
export function symmetricDifferenceCount(a: IdSet, b: IdSet): number {
  let count = 0;
  for (const id of a) if (!hasId(b, id)) count++;
  for (const id of b) if (!hasId(a, id)) count++;
  return count;
}

export function equalIdSets(a: IdSet, b: IdSet): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

/** Such as `(1 2 3)`, in hexadecimal. */
export function describeIdSet(set: IdSet): string {
  return `(${set.map(hexId).join(' ')})`;
}
