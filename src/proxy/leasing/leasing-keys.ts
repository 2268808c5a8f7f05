// The keys of etcd's leasing protocol, by which proxies agree who may answer reads of a key alone:
//
//     <prefix><key>   exists     a proxy owns the key: it may answer, and nobody else writes past it
//                     value      empty, or REVOKE: another one wants to write, the owner gives it up
//                     lease      the session of the owner: with it goes what it owned
//                     created    since when; a write of the owner holds only for what it owned then
//
// Every write is a transaction that compares these. Nobody owns the key, or it is the writer's own: it is
// written. Else the key is marked, the owner deletes it, and the write is tried again.

import { bytesFromLatin1, bytesFromUtf8, EMPTY_BYTES, latin1FromBytes } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { KeyRange } from '../kv/key-range.ts';
import { endOf } from '../kv/namespace.ts';

const { CompareCodec, CompareResult, CompareTarget, RequestOpCodec } = etcdserverpb;

const REVOKE: Uint8Array = bytesFromUtf8('REVOKE');

/** Names of keys are one char per byte. */
export class LeasingKeys {
  readonly prefix: Uint8Array;
  readonly #prefix: string;
  /** The end of the range of all leasing keys. */
  readonly #end: Uint8Array;

  constructor(prefix: Uint8Array) {
    this.prefix = prefix;
    this.#prefix = latin1FromBytes(prefix);
    this.#end = endOf(prefix);
  }

  /** Of a key: its leasing key. */
  nameOf(key: string): string {
    return this.#prefix + key;
  }

  /** Of a leasing key: the key. */
  keyOf(leasingKey: Uint8Array): string {
    return latin1FromBytes(leasingKey.subarray(this.prefix.length));
  }

  #bytesOf(key: string): Uint8Array {
    return bytesFromLatin1(this.#prefix + key);
  }

  /** Of a range of keys; an end beyond all keys is the end of all leasing keys. */
  #rangeOf({ from, end }: KeyRange) {
    const rangeEnd = end === '\0' ? this.#end : this.#bytesOf(end);
    return { key: this.#bytesOf(from), rangeEnd };
  }

  /** Nobody owns the key, or whoever does has since `revision` or before; 0: nobody does. */
  ownedSince(key: string, revision: number): etcdserverpb.Compare {
    return createdBelow({ key: this.#bytesOf(key), rangeEnd: EMPTY_BYTES }, revision + 1);
  }

  /** The same of all keys of a range. */
  rangeOwnedSince(range: KeyRange, revision: number): etcdserverpb.Compare {
    return createdBelow(this.#rangeOf(range), revision + 1);
  }

  /** Reads who owns a key, or the keys of a range. */
  look(key: string): etcdserverpb.RequestOp {
    const value = this.lookRequest({ from: key, end: '' });
    return RequestOpCodec.create({ request: { case: 'requestRange', value } });
  }

  lookRequest(range: KeyRange): etcdserverpb.RangeRequest {
    const where = range.end === '' ? { key: this.#bytesOf(range.from) } : this.#rangeOf(range);
    return etcdserverpb.RangeRequestCodec.create({ ...where, keysOnly: true });
  }

  /** Tells the owner to give the key up. */
  revoke(key: string): etcdserverpb.RequestOp {
    const fields = { key: this.#bytesOf(key), value: REVOKE, ignoreLease: true };
    return putOp(fields);
  }

  /** Makes the session with this lease the owner. */
  acquire(key: string, lease: bigint): etcdserverpb.RequestOp {
    return putOp({ key: this.#bytesOf(key), lease });
  }

  static isRevoke(value: Uint8Array): boolean {
    return latin1FromBytes(value) === 'REVOKE';
  }
}

/**
 * The transaction that gives a key up that has been owned since `revision` or before; a later owner keeps
 * it. `leasingKey` is the whole key at the cluster.
 */
export function giveUpRequest(
  leasingKey: Uint8Array,
  revision: number,
): etcdserverpb.TxnRequestInit {
  const value = etcdserverpb.DeleteRangeRequestCodec.create({ key: leasingKey });
  return {
    compare: [createdBelow({ key: leasingKey, rangeEnd: EMPTY_BYTES }, revision + 1)],
    success: [RequestOpCodec.create({ request: { case: 'requestDeleteRange', value } })],
  };
}

/** A key that is attached to a lease is owned by nobody: its end changes it past all owners. */
export function isAttachedToNone(key: Uint8Array): etcdserverpb.Compare {
  return CompareCodec.create({
    key,
    target: CompareTarget.LEASE,
    result: CompareResult.EQUAL,
    targetUnion: { case: 'lease', value: 0n },
  });
}

function createdBelow(
  where: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array },
  revision: number,
): etcdserverpb.Compare {
  return CompareCodec.create({
    ...where,
    target: CompareTarget.CREATE,
    result: CompareResult.LESS,
    targetUnion: { case: 'createRevision', value: revision },
  });
}

function putOp(fields: etcdserverpb.PutRequestInit): etcdserverpb.RequestOp {
  const value = etcdserverpb.PutRequestCodec.create(fields);
  return RequestOpCodec.create({ request: { case: 'requestPut', value } });
}
