// A queue of keys under one prefix, as etcd's locks and elections keep it: each candidate has a key that ends
// in the id of its lease, and whose key was created first has what all of them want.
//
//     name/694d7e4ad2af0c15   create revision 7    holds it
//     name/694d7e4ad2af0c21   create revision 9    waits for the key of revision 7 to be deleted
//     name/694d7e4ad2af0c2b   create revision 12   waits for that of revision 9
//
// A candidate watches the youngest key before its own, so that each deletion wakes one. It looks for that key
// and then watches from the revision after the look: a deletion in between is seen by the watch.

import { bytesFromLatin1 } from '../../base/index.ts';
import { GrpcStatusError, STATUS } from '../../grpc/index.ts';
import { etcdserverpb, type mvccpb } from '../../protocol/index.ts';
import type { CallerClient } from './caller-client.ts';

const { CompareResult, CompareTarget, FilterType, SortOrder, SortTarget } = etcdserverpb;
const { CompareCodec, DeleteRangeRequestCodec, PutRequestCodec, RangeRequestCodec } = etcdserverpb;

/** The byte after `/`: the end of all keys that begin with a prefix. */
const AFTER_SLASH = '0';

/** A candidate's key and where it stands. */
export interface Place {
  /** As a latin1 string. */
  readonly key: string;
  readonly lease: bigint;
  /** Revision in which the key was created; those before it come first. */
  readonly createRev: number;
  /** The key was there already, with this value. */
  readonly found: Uint8Array | undefined;
  /** No key is before it. */
  readonly isFirst: boolean;
  /** Of the response that says all this. */
  readonly header: etcdserverpb.ResponseHeader | undefined;
}

/** Undefined: the place is lost. */
type Turn = { readonly header: etcdserverpb.ResponseHeader | undefined } | undefined;

export class KeyQueue {
  readonly #client: CallerClient;
  readonly #prefix: string;

  /** `name` as a latin1 string. */
  constructor(client: CallerClient, name: string) {
    this.#client = client;
    this.#prefix = `${name}/`;
  }

  /** The key that was created first, and the header of the look. */
  first(): Promise<etcdserverpb.RangeResponse> {
    return this.#client.range(this.#firstCreated());
  }

  /** What to watch for a key of the queue to appear after `revision`. */
  watchFrom(revision: number): etcdserverpb.WatchCreateRequestInit {
    const { key, rangeEnd } = this.#range();
    return { key, rangeEnd, startRevision: revision + 1, filters: [FilterType.NODELETE] };
  }

  /**
   * Puts the key of a lease at the end, with this value, unless it is there already. Without a lease (0) one
   * of a minute is granted.
   */
  async enter(given: bigint, value: Uint8Array): Promise<Place> {
    const client = this.#client;
    const lease = await client.leaseOr(given);
    const key = this.#prefix + lease.toString(16);
    const keyBytes = bytesFromLatin1(key);
    const first = opRange(this.#firstCreated());
    const { succeeded, responses, header } = await client.txn({
      compare: [wasCreatedAt(keyBytes, 0)],
      success: [opPut({ key: keyBytes, value, lease }), first],
      failure: [opRange({ key: keyBytes }), first],
    });
    const [own, oldest] = responses.map(firstKv);
    const createRev = succeeded ? (header?.revision ?? 0) : (own?.createRevision ?? 0);
    const isFirst = oldest === undefined || oldest.createRevision === createRev;
    return { key, lease, createRev, found: own?.value, isFirst, header };
  }

  /** Deletes the place's key, unless it is another one by now. Does not fail: the lease does the rest. */
  async leave({ key, createRev }: Pick<Place, 'key' | 'createRev'>): Promise<void> {
    const bytes = bytesFromLatin1(key);
    const request = { compare: [wasCreatedAt(bytes, createRev)], success: [opDelete(bytes)] };
    await this.#client.txn(request).catch((error: unknown) => {
      if (!(error instanceof GrpcStatusError)) throw error;
    });
  }

  /**
   * Waits until the place is the first, and resolves to the header of the answer that says so; to undefined
   * if the place's key is gone. Otherwise the place leaves the queue: rejects with CANCELED when the
   * client's signal comes, and with the error of a failed read or watch.
   */
  async waitForTurn(place: Place): Promise<Turn> {
    const { signal } = this.#client;
    try {
      const turn = place.isFirst ? { header: place.header } : await this.#wait(place);
      if (!signal.aborted) return turn;
    } catch (error) {
      await this.leave(place);
      throw error;
    }
    // What it held before this call came is not given up with it.
    if (!place.isFirst || place.found === undefined) await this.leave(place);
    throw new GrpcStatusError(STATUS.CANCELED, 'context canceled');
  }

  async #wait(place: Place): Promise<Turn> {
    for (;;) {
      const { kvs, header } = await this.#client.range({
        ...this.#range(),
        limit: 1,
        maxCreateRevision: place.createRev - 1,
        sortTarget: SortTarget.CREATE,
        sortOrder: SortOrder.DESCEND,
      });
      const [before] = kvs;
      if (before === undefined) break;
      if ((await this.#deletion(place, before.key, header?.revision ?? 0)) === 'own') break;
    }
    const { kvs, header } = await this.#client.range({ key: bytesFromLatin1(place.key) });
    return kvs[0]?.createRevision === place.createRev ? { header } : undefined;
  }

  /**
   * Waits for the deletion of the key before or of the place's own after `revision`. A compaction of what the
   * watch wants to see means that it has to be looked for again.
   */
  #deletion(place: Place, before: Uint8Array, revision: number): Promise<'before' | 'own'> {
    return new Promise((resolve, reject) => {
      const of = (key: Uint8Array) => ({
        key,
        startRevision: revision + 1,
        filters: [FilterType.NOPUT],
      });
      const watch = this.#client.watch([of(before), of(bytesFromLatin1(place.key))], {
        onResponse: ({ watchId, events, canceled, cancelReason, compactRevision }) => {
          if (events.length > 0) resolve(watchId === 0n ? 'before' : 'own');
          else if (compactRevision > 0) resolve('before');
          else if (canceled) reject(new GrpcStatusError(STATUS.FAILED_PRECONDITION, cancelReason));
          else return;
          watch.cancel();
        },
        onEnd: (status, message) => reject(new GrpcStatusError(status, message)),
      });
    });
  }

  /** All keys of the queue. */
  #range() {
    const end = this.#prefix.slice(0, -1) + AFTER_SLASH;
    return { key: bytesFromLatin1(this.#prefix), rangeEnd: bytesFromLatin1(end) };
  }

  #firstCreated(): etcdserverpb.RangeRequestInit {
    const { CREATE } = SortTarget;
    return { ...this.#range(), limit: 1, sortTarget: CREATE, sortOrder: SortOrder.ASCEND };
  }
}

/** A comparison for a transaction; at revision 0 it holds for a key that is not there. */
export function wasCreatedAt(key: Uint8Array, revision: number): etcdserverpb.Compare {
  return CompareCodec.create({
    key,
    result: CompareResult.EQUAL,
    target: CompareTarget.CREATE,
    targetUnion: { case: 'createRevision', value: revision },
  });
}

function opRange(request: etcdserverpb.RangeRequestInit): etcdserverpb.RequestOp {
  return { request: { case: 'requestRange', value: RangeRequestCodec.create(request) } };
}

export function opDelete(key: Uint8Array): etcdserverpb.RequestOp {
  const value = DeleteRangeRequestCodec.create({ key });
  return { request: { case: 'requestDeleteRange', value } };
}

export function opPut(request: etcdserverpb.PutRequestInit): etcdserverpb.RequestOp {
  return { request: { case: 'requestPut', value: PutRequestCodec.create(request) } };
}

function firstKv({ response }: etcdserverpb.ResponseOp): mvccpb.KeyValue | undefined {
  return response?.case === 'responseRange' ? response.value.kvs[0] : undefined;
}
