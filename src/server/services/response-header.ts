// The response header: field 1 of each response message.
//
// Cluster and member id never change while a member runs, so their bytes are made once; revision and
// term follow. Hot: once per answer and once per watch response.

import { type Revision, type Term, varintSize, writeVarint } from '../../base/index.ts';
import type { etcdserverpb } from '../../protocol/index.ts';

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

export class ResponseHeaders {
  readonly #clusterId: bigint;
  readonly #memberId: bigint;
  readonly #raft: { readonly term: Term };
  readonly #ids: Uint8Array;

  /** `raft` has the term that answers carry. */
  constructor(clusterId: bigint, memberId: bigint, raft: { readonly term: Term }) {
    this.#clusterId = clusterId;
    this.#memberId = memberId;
    this.#raft = raft;
    this.#ids = Uint8Array.from([
      ...idField(TAG_CLUSTER_ID, clusterId),
      ...idField(TAG_MEMBER_ID, memberId),
    ]);
  }

  /** As a message, for responses without a hand-written encoder. */
  message(revision: Revision): etcdserverpb.ResponseHeader {
    return {
      clusterId: this.#clusterId,
      memberId: this.#memberId,
      revision,
      raftTerm: this.#raft.term,
    };
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
    const { term } = this.#raft;
    if (term !== 0) {
      target[at++] = TAG_RAFT_TERM;
      at = writeVarint(term, target, at);
    }
    return at;
  }

  /** At most 2 * 11 + 2 * 9 bytes, so that the length is a single byte. */
  #contentSize(revision: Revision): number {
    let size = this.#ids.length;
    if (revision !== 0) size += 1 + varintSize(revision);
    const { term } = this.#raft;
    if (term !== 0) size += 1 + varintSize(term);
    return size;
  }
}
