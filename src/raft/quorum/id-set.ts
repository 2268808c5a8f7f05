// A set of node ids as a sorted array without duplicates. Groups have few members: an array is
// smaller and faster than a `Set`, iterates in the order in which ids are printed, and, being
// immutable, can be shared between an old configuration and the next.

import { compareUint64, invariant, verify } from '../../base/index.ts';
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
  if (hasId(set, id)) return set;
  const grown = [...set, id].sort(compareUint64);
  if (verify.all) verifyAscending(grown);
  return grown;
}

/** `set` itself if it does not have `id`. */
export function withoutId(set: IdSet, id: NodeId): IdSet {
  if (!hasId(set, id)) return set;
  const rest = set.filter((other) => other !== id);
  invariant(rest.length === set.length - 1, 'an id is in a set once');
  return rest;
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

function verifyAscending(set: IdSet): void {
  for (let i = 1; i < set.length; i++) invariant(set[i - 1]! < set[i]!, 'the ids of a set ascend');
}
