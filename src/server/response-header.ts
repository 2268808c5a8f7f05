// The response header that every answer begins with: field 1 of each response message.
//
// Cluster and member id never change while a member runs, so their bytes are made once; revision and
// term follow. Hot: once per answer and once per watch response.

import type { Revision, Term } from '../base/index.ts';

const TAG_HEADER = 0x0a; // field 1, length-delimited
const TAG_CLUSTER_ID = 0x08; // uint64 cluster_id = 1
const TAG_MEMBER_ID = 0x10; // uint64 member_id = 2
const TAG_REVISION = 0x18; // int64 revision = 3
const TAG_RAFT_TERM = 0x20; // uint64 raft_term = 4

/** Bytes of `value` (0 to 2^53-1) as a varint. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 5;
  for (let rest = Math.floor(value / 0x8_0000_0000); rest > 0; rest = Math.floor(rest / 128))
    size++;
  return size;
}

/** Writes `value` (0 to 2^53-1) as a varint; the caller made room. Returns the offset after. */
export function writeVarint(value: number, target: Uint8Array, offset: number): number {
  let rest = value;
  let at = offset;
  while (rest >= 0x1000_0000) {
    target[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 128) {
    target[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

function idField(tag: number, id: bigint): number[] {
  const bytes = [tag];
  let rest = id;
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return id === 0n ? [] : bytes;
}

export class ResponseHeaderWriter {
  readonly #ids: Uint8Array;
  /** The term that answers carry; the server moves it when raft's term changes. */
  term: Term = 0;

  constructor(clusterId: bigint, memberId: bigint) {
    this.#ids = Uint8Array.from([
      ...idField(TAG_CLUSTER_ID, clusterId),
      ...idField(TAG_MEMBER_ID, memberId),
    ]);
  }

  /** Bytes of the whole field, tag and length included. */
  size(revision: Revision): number {
    return 2 + this.#contentSize(revision);
  }

  /** Writes the field; the caller made room. Returns the offset after. */
  write(revision: Revision, target: Uint8Array, offset: number): number {
    const ids = this.#ids;
    target[offset] = TAG_HEADER;
    target[offset + 1] = this.#contentSize(revision);
    let at = offset + 2;
    for (let i = 0; i < ids.length; i++) target[at++] = ids[i]!;
    if (revision !== 0) {
      target[at++] = TAG_REVISION;
      at = writeVarint(revision, target, at);
    }
    if (this.term !== 0) {
      target[at++] = TAG_RAFT_TERM;
      at = writeVarint(this.term, target, at);
    }
    return at;
  }

  /** At most 2 * 11 + 2 * 9 bytes, so that the length is a single byte. */
  #contentSize(revision: Revision): number {
    let size = this.#ids.length;
    if (revision !== 0) size += 1 + varintSize(revision);
    if (this.term !== 0) size += 1 + varintSize(this.term);
    return size;
  }
}
