// Sizes that limits are measured in.

import { varintSize } from '../../base/index.ts';
import type { Entry } from '../raftpb.ts';

/** Bytes of the entry in protobuf, without its own length prefix; zero fields take none. */
export function entrySize(entry: Entry): number {
  let size = entry.type === 0 ? 0 : 2;
  if (entry.term !== 0) size += 1 + varintSize(entry.term);
  if (entry.index !== 0) size += 1 + varintSize(entry.index);
  const length = entry.data.length;
  return length === 0 ? size : size + 1 + varintSize(length) + length;
}

/** Sum of `entrySize`. */
export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entrySize(entries[i]!);
  return size;
}

/** Bytes that the proposers put in, independent of term and index; 0 for an empty entry. */
export function payloadsSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entries[i]!.data.length;
  return size;
}
