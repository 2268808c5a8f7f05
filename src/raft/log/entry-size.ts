// Sizes that limits are measured in.

import type { Entry } from '../raftpb.ts';

/** Bytes of `value` as a protobuf varint. */
function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 4;
  for (let rest = Math.floor(value / 0x1000_0000); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

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
