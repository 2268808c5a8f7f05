// The response header that every answer begins with: field 1 of each response message.
//
// Cluster and member id never change while a member runs, so their bytes are made once; revision and
// term follow. Hot: once per answer and once per watch response.

import { type Revision, type Term, varintSize, writeVarint } from '../../base/index.ts';

const TAG_HEADER = 0x0a; // field 1, length-delimited
const TAG_CLUSTER_ID = 0x08; // uint64 cluster_id = 1
const TAG_MEMBER_ID = 0x10; // uint64 member_id = 2
const TAG_REVISION = 0x18; // int64 revision = 3
const TAG_RAFT_TERM = 0x20; // uint64 raft_term = 4

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
