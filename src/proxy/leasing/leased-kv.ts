// `--experimental-leasing-prefix`: reads of keys that this proxy owns are answered here, and still
// linearizable; writes keep to the protocol by which proxies own keys.

import { latin1FromBytes } from '../../base/index.ts';
import { GrpcStatusError, STATUS } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { UnaryCall } from '../../rpc/index.ts';
import { AskingCall } from '../calls/asking-call.ts';
import { hasToken } from '../calls/passed-metadata.ts';
import type { UnaryHooks } from '../calls/passed-unary.ts';
import type { Upstream } from '../calls/upstream.ts';
import type { KvCalls } from '../kv/kv-calls.ts';
import type { ReadOrder } from '../kv/read-order.ts';
import { hasWrites } from '../kv/txn-ops.ts';
import { REVOKES_AT_ONCE } from '../limits.ts';
import type { ClusterKv } from './cluster-kv.ts';
import { compareHolds, rangeAnswer } from './leased-answers.ts';
import type { Acquiring, LeasedKeys } from './leased-keys.ts';
import { isAttachedToNone, type LeasingKeys } from './leasing-keys.ts';
import type { LeasingSession } from './leasing-session.ts';
import { type Targets, targetsOf, writtenBy } from './txn-targets.ts';

const { methods } = etcdserverpb.KVService;
const { RequestOpCodec, ResponseOpCodec } = etcdserverpb;

interface LeasedKvParts {
  readonly upstream: Upstream;
  /** For what leasing has nothing to do with. */
  readonly passed: KvCalls;
  readonly cluster: ClusterKv;
  /** As clients of this proxy name them. */
  readonly keys: LeasingKeys;
  readonly owned: LeasedKeys;
  readonly session: LeasingSession;
  readonly order: ReadOrder | undefined;
}

type RangeRequest = etcdserverpb.RangeRequest;
type TxnRequest = etcdserverpb.TxnRequest;
type TxnResponse = etcdserverpb.TxnResponse;

export class LeasedKv implements KvCalls {
  readonly #parts: LeasedKvParts;

  constructor(parts: LeasedKvParts) {
    this.#parts = parts;
  }

  // --- Reads --------------------------------------------------------------------------------------

  range(
    call: UnaryCall,
    request: RangeRequest,
    bytes: Uint8Array,
    hooks: UnaryHooks | undefined,
  ): void {
    const { passed, owned } = this.#parts;
    // Of a caller with a token it is not known what the caller may read.
    if (!isOfOneKeyNow(request) || hasToken(call.metadata)) {
      passed.range(call, request, bytes, hooks);
      return;
    }
    const key = latin1FromBytes(request.key);
    const answer = this.#answerTo(request, key);
    if (answer !== undefined) {
      hooks?.onFailure?.();
      call.reply(methods.range.response, answer);
      return;
    }
    const { lease } = this.#parts.session;
    const acquiring =
      request.serializable || lease === undefined ? undefined : owned.beginAcquire(key);
    if (acquiring === undefined) passed.range(call, request, bytes, hooks);
    else void this.#acquire({ call, hooks, kept: Uint8Array.from(bytes) }, acquiring, lease!);
  }

  /** From an owned key; undefined if it is not, or cannot be told now. */
  #answerTo(request: RangeRequest, key: string): etcdserverpb.RangeResponse | undefined {
    const { owned, session } = this.#parts;
    if (session.lease === undefined) return undefined;
    const leased = owned.readable(key);
    return leased && rangeAnswer(request, leased.state, this.#header());
  }

  #header(): etcdserverpb.ResponseHeader {
    const { owned, order } = this.#parts;
    const header = owned.header!;
    const revision = Math.max(header.revision, order?.revision ?? 0);
    return { ...header, revision };
  }

  /** Reads the key and makes it our own. Whatever fails, the read itself is passed on. */
  async #acquire(
    { call, hooks, kept }: ReadCall,
    acquiring: Acquiring,
    lease: bigint,
  ): Promise<void> {
    const { upstream, passed, owned } = this.#parts;
    const request = methods.range.request.decode(kept);
    const asking = new AskingCall(upstream, call);
    let answer: etcdserverpb.RangeResponse;
    try {
      answer = await this.#readToOwn(asking, request, acquiring, lease);
    } catch {
      owned.abandon(acquiring);
      asking.leave();
      if (call.ended) hooks?.onFailure?.();
      else passed.range(call, request, kept, hooks);
      return;
    }
    const bytes = methods.range.response.encode(answer);
    hooks?.onReply?.(bytes);
    asking.reply(bytes);
  }

  async #readToOwn(
    asking: AskingCall,
    request: RangeRequest,
    acquiring: Acquiring,
    lease: bigint,
  ): Promise<etcdserverpb.RangeResponse> {
    const { cluster, keys, owned, session } = this.#parts;
    const { key } = acquiring;
    const value = etcdserverpb.RangeRequestCodec.create({ key: request.key });
    const read = RequestOpCodec.create({ request: { case: 'requestRange', value } });
    const response = await cluster.txn(asking, {
      compare: [keys.ownedSince(key, 0), isAttachedToNone(request.key)],
      success: [read, keys.acquire(key, lease)],
      failure: [read, keys.look(key)],
    });
    const header = response.header!;
    owned.noteHeader(header);
    const [kv] = rangeIn(response, 0).kvs;
    if (response.succeeded && session.lease === lease) {
      const state = kv && { ...kv, key: Uint8Array.from(kv.key), value: Uint8Array.from(kv.value) };
      owned.acquired(acquiring, header.revision, state);
    } else {
      owned.abandon(acquiring);
      // Of an attempt whose answer was lost: a key that we own and know nothing of.
      const [owner] = response.succeeded ? [] : rangeIn(response, 1).kvs;
      if (owner !== undefined && owner.lease === lease) session.giveUp(key, owner.createRevision);
      // To find that again takes an entry in the cluster's log.
      owned.avoid(key);
    }
    return rangeAnswer(request, kv, header);
  }

  // --- Writes -------------------------------------------------------------------------------------

  put(
    call: UnaryCall,
    request: etcdserverpb.PutRequest,
    bytes: Uint8Array,
    hooks: UnaryHooks | undefined,
  ): void {
    if (request.key.length === 0) {
      this.#parts.passed.put(call, request, bytes, hooks);
      return;
    }
    const value = methods.put.request.decode(Uint8Array.from(bytes));
    const op = RequestOpCodec.create({ request: { case: 'requestPut', value } });
    this.#write(call, hooks, op, ({ header, responses: [response] }) =>
      methods.put.response.encode({ ...valueIn(response, 'responsePut'), header }),
    );
  }

  deleteRange(
    call: UnaryCall,
    request: etcdserverpb.DeleteRangeRequest,
    bytes: Uint8Array,
    hooks: UnaryHooks | undefined,
  ): void {
    if (request.key.length === 0) {
      this.#parts.passed.deleteRange(call, request, bytes, hooks);
      return;
    }
    const value = methods.deleteRange.request.decode(Uint8Array.from(bytes));
    const op = RequestOpCodec.create({ request: { case: 'requestDeleteRange', value } });
    this.#write(call, hooks, op, ({ header, responses: [response] }) =>
      methods.deleteRange.response.encode({ ...valueIn(response, 'responseDeleteRange'), header }),
    );
  }

  txn(
    call: UnaryCall,
    request: TxnRequest,
    bytes: Uint8Array,
    hooks: UnaryHooks | undefined,
  ): void {
    const answer = hasToken(call.metadata) ? undefined : this.#txnAnswer(request);
    if (answer !== undefined) {
      const encoded = methods.txn.response.encode(answer);
      hooks?.onReply?.(encoded);
      call.reply(methods.txn.response, answer);
    } else if (!hasWrites(request)) this.#parts.passed.txn(call, request, bytes, hooks);
    else {
      const value = methods.txn.request.decode(Uint8Array.from(bytes));
      const op = RequestOpCodec.create({ request: { case: 'requestTxn', value } });
      this.#write(call, hooks, op, ({ header, responses: [response] }) =>
        methods.txn.response.encode({ ...valueIn(response, 'responseTxn'), header }),
      );
    }
  }

  /** Of a transaction that compares and reads owned keys only; undefined for any other. */
  #txnAnswer(request: TxnRequest): TxnResponse | undefined {
    const { owned, session } = this.#parts;
    if (session.lease === undefined || request.compare.length === 0) return undefined;
    let succeeded = true;
    for (const compare of request.compare) {
      if (compare.rangeEnd.length > 0) return undefined;
      const leased = owned.readable(latin1FromBytes(compare.key));
      if (leased === undefined) return undefined;
      succeeded &&= compareHolds(compare, leased.state);
    }
    const header = this.#header();
    const inner = etcdserverpb.ResponseHeaderCodec.create({ revision: header.revision });
    const responses: etcdserverpb.ResponseOp[] = [];
    for (const { request: op } of succeeded ? request.success : request.failure) {
      if (op?.case !== 'requestRange' || !isOfOneKeyNow(op.value)) return undefined;
      const leased = owned.readable(latin1FromBytes(op.value.key));
      if (leased === undefined) return undefined;
      const value = rangeAnswer(op.value, leased.state, inner);
      responses.push(ResponseOpCodec.create({ response: { case: 'responseRange', value } }));
    }
    return { header, succeeded, responses };
  }

  /** Executes one operation by the protocol, and answers with what `answerOf` makes of its transaction. */
  #write(
    call: UnaryCall,
    hooks: UnaryHooks | undefined,
    op: etcdserverpb.RequestOp,
    answerOf: (response: TxnResponse) => Uint8Array,
  ): void {
    const asking = new AskingCall(this.#parts.upstream, call);
    void this.#execute(asking, op).then(
      (response) => {
        const bytes = answerOf(response);
        asking.reply(hooks?.onReply?.(bytes) ?? bytes);
      },
      (error: unknown) => {
        hooks?.onFailure?.();
        if (error instanceof GrpcStatusError) call.fail(error.code, error.details);
        else call.fail(STATUS.INTERNAL, String(error));
      },
    );
  }

  async #execute(asking: AskingCall, op: etcdserverpb.RequestOp): Promise<TxnResponse> {
    const { cluster, keys, owned } = this.#parts;
    const targets = targetsOf([op]);
    const points = [...targets.points];
    for (;;) {
      asking.mustBeWanted();
      const listedAt = await this.#clear(asking, targets);
      const write = owned.beginWrite(targets, (key) => keys.nameOf(key));
      let response: TxnResponse;
      try {
        response = await cluster.txn(asking, {
          compare: [
            ...points.map((key) => keys.ownedSince(key, owned.get(key)?.revision ?? 0)),
            ...targets.ranges.map((range, at) => keys.rangeOwnedSince(range, listedAt[at]!)),
          ],
          success: [op],
          failure: points.map((key) => keys.look(key)),
        });
      } catch (error) {
        write.lost();
        throw error;
      }
      owned.noteHeader(response.header);
      if (response.succeeded) {
        write.done(writtenBy([op], response.responses), response.header!.revision);
        return response;
      }
      write.refused();
      const looked = response.responses.flatMap((_, at) => rangeIn(response, at).kvs);
      await this.#revoke(asking, this.#ofOthers(looked));
    }
  }

  /** Has the ranges given up by their owners; for each the revision at which they had been listed. */
  async #clear(asking: AskingCall, { ranges }: Targets): Promise<readonly number[]> {
    const { cluster, keys } = this.#parts;
    const listedAt: number[] = [];
    for (const range of ranges) {
      const { kvs, header } = await cluster.range(asking, keys.lookRequest(range));
      listedAt.push(header!.revision);
      await this.#revoke(asking, this.#ofOthers(kvs));
    }
    return listedAt;
  }

  /** Those of leasing keys that this proxy does not know as its own. */
  #ofOthers(leasingKeys: TxnKeys): string[] {
    const { keys, owned } = this.#parts;
    const found = leasingKeys.map((kv) => ({ key: keys.keyOf(kv.key), since: kv.createRevision }));
    return found
      .filter(({ key, since }) => owned.get(key)?.revision !== since)
      .map(({ key }) => key);
  }

  async #revoke(asking: AskingCall, others: readonly string[]): Promise<void> {
    if (others.length === 0) return;
    await asking.wait(this.#parts.session.started());
    for (let at = 0; at < others.length; at += REVOKES_AT_ONCE) {
      const some = others.slice(at, at + REVOKES_AT_ONCE);
      await Promise.all(some.map((key) => this.#revokeOne(asking, key)));
    }
  }

  /** Resolves when its owner has given the key up. */
  async #revokeOne(asking: AskingCall, key: string): Promise<void> {
    const { cluster, keys, session } = this.#parts;
    // Listens first: the owner may be faster than the answer.
    const release = session.expectRelease(key);
    try {
      const { succeeded: isFree, header } = await cluster.txn(asking, {
        compare: [keys.ownedSince(key, 0)],
        failure: [keys.revoke(key)],
      });
      if (!isFree) await asking.wait(release.after(header!.revision));
    } finally {
      release.dispose();
    }
  }
}

type TxnKeys = etcdserverpb.RangeResponse['kvs'];

interface ReadCall {
  readonly call: UnaryCall;
  readonly hooks: UnaryHooks | undefined;
  /** The encoded request, owned. */
  readonly kept: Uint8Array;
}

/** Only such reads can be answered from owned keys. */
function isOfOneKeyNow({ key, rangeEnd, revision }: RangeRequest): boolean {
  return key.length > 0 && rangeEnd.length === 0 && revision === 0;
}

function rangeIn({ responses }: TxnResponse, at: number): etcdserverpb.RangeResponse {
  return valueIn(responses[at], 'responseRange');
}

interface Answers {
  readonly responseRange: etcdserverpb.RangeResponse;
  readonly responsePut: etcdserverpb.PutResponse;
  readonly responseDeleteRange: etcdserverpb.DeleteRangeResponse;
  readonly responseTxn: TxnResponse;
}

function valueIn<Kind extends keyof Answers>(
  op: etcdserverpb.ResponseOp | undefined,
  kind: Kind,
): Answers[Kind] {
  const answer = op?.response;
  if (answer?.case === kind) return answer.value as Answers[Kind];
  throw new GrpcStatusError(STATUS.INTERNAL, 'a member answered with something else');
}
