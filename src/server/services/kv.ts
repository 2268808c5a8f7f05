// etcdserverpb.KV: ranges, puts, deletions, transactions, compaction. Hot: one small object per
// request beyond the call and the decoded message, no promise and no closure.

import { invariant } from '../../base/index.ts';
import { type Server, STATUS, type UnaryCall } from '../../grpc/index.ts';
import {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkTxnRequest,
  isTxnReadonly,
  isTxnSerializable,
  RangeResult,
  RangeRun,
  type TxnResult,
  TxnRun,
} from '../../mvcc/index.ts';
import { EtcdError, type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import {
  type ApplyResult,
  costOfPut,
  costOfTxn,
  type PinnedView,
  REQUEST_KIND,
  Slices,
} from '../../store/index.ts';
import type { MemberCore } from '../core.ts';
import { RANGE_BYTES_AT_ONCE, RANGE_STEP_KEYS, RESPONSE_BYTES_MAX } from '../limits.ts';
import type { Proposal } from '../proposals.ts';
import type { Read } from '../reads.ts';
import { readLargeRange } from './large-range.ts';
import { registerRangeStream } from './range-stream.ts';
import { failWith, readFailure, registerUnary } from './reply.ts';
import { type KvEncoders, kvEncoders, RangePieces } from './responses.ts';

const methods = etcdserverpb.KVService.methods;

export function registerKvService(server: Server, core: MemberCore): void {
  const service = new KvService(core);
  registerUnary(
    server,
    core,
    methods.range,
    (call, request) => service.range(call, request),
    (request) => request.serializable,
  );
  registerUnary(server, core, methods.put, (call, request, bytes) =>
    service.put(call, request, bytes),
  );
  registerUnary(server, core, methods.deleteRange, (call, request, bytes) =>
    service.deleteRange(call, request, bytes),
  );
  registerUnary(server, core, methods.txn, (call, request, bytes) =>
    service.txn(call, request, bytes),
  );
  registerUnary(server, core, methods.compact, (call, request, bytes) =>
    service.compact(call, request, bytes),
  );
  registerRangeStream(server, core);
}

/** Refuses what etcd refuses before it proposes; false if the call was answered so. */
function accepted<Request>(
  call: UnaryCall,
  check: (request: Request) => void,
  request: Request,
): boolean {
  try {
    check(request);
    return true;
  } catch (error) {
    failWithEtcdError(call, error);
    return false;
  }
}

function failWithEtcdError(call: UnaryCall, error: unknown): void {
  if (!(error instanceof EtcdError)) throw error;
  failWith(call, error.code);
}

/** As grpc-go words it. */
function failTooLarge(call: UnaryCall, size: number): void {
  const text = `grpc: trying to send message larger than max (${size} vs. ${RESPONSE_BYTES_MAX})`;
  call.fail(STATUS.RESOURCE_EXHAUSTED, text);
}

class KvService {
  readonly core: MemberCore;
  readonly encoders: KvEncoders;
  /** Shared by all ranges that end in one step. */
  readonly #rangeRun = new RangeRun();
  #rangeResult = new RangeResult();

  constructor(core: MemberCore) {
    this.core = core;
    this.encoders = kvEncoders(core.header);
  }

  range(call: UnaryCall, request: etcdserverpb.RangeRequest): void {
    if (!accepted(call, checkRangeRequest, request)) return;
    if (request.serializable) this.serveRange(call, request);
    else this.core.reads.request(new LinearizableRange(this, call, request));
  }

  /** Evaluates and answers, in this turn unless the range is large. */
  serveRange(call: UnaryCall, request: etcdserverpb.RangeRequest): void {
    if (call.ended) return;
    const { machine, metrics } = this.core;
    metrics.mvcc.ranges.value++;
    const run = this.#rangeRun;
    const result = this.#rangeResult;
    try {
      run.start(machine.kv, request, result);
      if (run.step(RANGE_STEP_KEYS)) {
        if (result.byteCount() <= RANGE_BYTES_AT_ONCE) {
          call.reply(this.encoders.range, result);
          result.reset();
        } else {
          // The answer outlives this turn, so the next range gets a result of its own.
          this.#rangeResult = new RangeResult();
          this.#replyInPieces(call, result);
        }
        return;
      }
    } catch (error) {
      this.#failRead(call, error);
      return;
    }
    void this.#serveLargeRange(call, request);
  }

  #replyInPieces(call: UnaryCall, result: RangeResult): void {
    const pieces = new RangePieces(this.core.header, result);
    if (pieces.size <= RESPONSE_BYTES_MAX) call.replyInPieces(pieces.size, pieces.next);
    else failTooLarge(call, pieces.size);
  }

  /** In slices, at the revision of the first one. */
  async #serveLargeRange(call: UnaryCall, request: etcdserverpb.RangeRequest): Promise<void> {
    const { kv } = this.core.machine;
    const slices = new Slices(this.core.env);
    let pin: PinnedView | undefined;
    try {
      pin = kv.pin(request.revision > 0 ? request.revision : kv.currentRev);
      const result = await readLargeRange(pin, request, slices, () => !call.ended);
      if (result === undefined) return;
      this.#replyInPieces(call, result);
    } catch (error) {
      this.#failRead(call, error);
    } finally {
      pin?.release();
    }
  }

  put(call: UnaryCall, request: etcdserverpb.PutRequest, bytes: Uint8Array): void {
    if (!accepted(call, checkPutRequest, request)) return;
    if (!this.core.quota.isAvailable(costOfPut(request))) {
      this.#refuseForSpace(call);
      return;
    }
    const proposal = new PutProposal(this, call);
    this.core.proposals.propose(REQUEST_KIND.PUT, bytes, 0, bytes.length, proposal);
  }

  deleteRange(call: UnaryCall, request: etcdserverpb.DeleteRangeRequest, bytes: Uint8Array): void {
    if (!accepted(call, checkDeleteRangeRequest, request)) return;
    const proposal = new DeleteProposal(this, call);
    this.core.proposals.propose(REQUEST_KIND.DELETE_RANGE, bytes, 0, bytes.length, proposal);
  }

  txn(call: UnaryCall, request: etcdserverpb.TxnRequest, bytes: Uint8Array): void {
    try {
      checkTxnRequest(request, this.core.config.maxTxnOps);
    } catch (error) {
      failWithEtcdError(call, error);
      return;
    }
    if (isTxnReadonly(request)) {
      const read = new ReadonlyTxn(this, call, request);
      if (isTxnSerializable(request)) read.serve();
      else this.core.reads.request(read);
      return;
    }
    const cost = costOfTxn(request);
    if (cost > 0 && !this.core.quota.isAvailable(cost)) {
      this.#refuseForSpace(call);
      return;
    }
    const proposal = new TxnProposal(this, call);
    this.core.proposals.propose(REQUEST_KIND.TXN, bytes, 0, bytes.length, proposal);
  }

  /** Evaluates and answers a transaction that only reads. */
  async serveReadonlyTxn(call: UnaryCall, request: etcdserverpb.TxnRequest): Promise<void> {
    if (call.ended) return;
    const { kv } = this.core.machine;
    const run = new TxnRun();
    let pin: PinnedView | undefined;
    try {
      run.startReadonly(kv, request);
      if (!run.step(RANGE_STEP_KEYS)) {
        pin = kv.pin(Math.max(kv.compactedRev, 0));
        const pinned = new TxnRun();
        // From the start again, on a view that stays as it is between slices.
        pinned.startReadonly(pin, request);
        const slices = new Slices(this.core.env);
        while (!pinned.step(RANGE_STEP_KEYS)) {
          if (slices.isOver) await slices.next();
          if (call.ended) return;
        }
        this.#replyTxn(call, pinned.result);
        return;
      }
      this.#replyTxn(call, run.result);
    } catch (error) {
      this.#failRead(call, error);
    } finally {
      pin?.release();
    }
  }

  #replyTxn(call: UnaryCall, result: TxnResult): void {
    const size = this.encoders.txn.size(result);
    if (size <= RESPONSE_BYTES_MAX) call.reply(this.encoders.txn, result);
    else failTooLarge(call, size);
  }

  #failRead(call: UnaryCall, error: unknown): void {
    const { status, message } = readFailure(this.core, error);
    call.fail(status, message);
  }

  compact(call: UnaryCall, request: etcdserverpb.CompactionRequest, bytes: Uint8Array): void {
    const proposal = new CompactProposal(this, call, request.physical);
    this.core.proposals.propose(REQUEST_KIND.COMPACTION, bytes, 0, bytes.length, proposal);
  }

  #refuseForSpace(call: UnaryCall): void {
    this.core.raiseNoSpace(() => failWith(call, 'NO_SPACE'));
  }
}

// --- What waits ------------------------------------------------------------------------------------

class LinearizableRange implements Read {
  readonly #service: KvService;
  readonly #call: UnaryCall;
  readonly #request: etcdserverpb.RangeRequest;

  constructor(service: KvService, call: UnaryCall, request: etcdserverpb.RangeRequest) {
    this.#service = service;
    this.#call = call;
    this.#request = request;
    // Byte fields are views of the connection's buffer, which is used again after this turn.
    request.key = Uint8Array.from(request.key);
    request.rangeEnd = Uint8Array.from(request.rangeEnd);
  }

  serve(): void {
    this.#service.serveRange(this.#call, this.#request);
  }

  fail(error: EtcdErrorName): void {
    failWith(this.#call, error);
  }
}

class ReadonlyTxn implements Read {
  readonly #service: KvService;
  readonly #call: UnaryCall;
  readonly #request: etcdserverpb.TxnRequest;

  constructor(service: KvService, call: UnaryCall, request: etcdserverpb.TxnRequest) {
    this.#service = service;
    this.#call = call;
    // Decoded again from a copy: the request's bytes do not outlive this turn.
    this.#request = methods.txn.request.decode(methods.txn.request.encode(request));
  }

  serve(): void {
    void this.#service.serveReadonlyTxn(this.#call, this.#request);
  }

  fail(error: EtcdErrorName): void {
    failWith(this.#call, error);
  }
}

/** A call that is answered when its entry has been applied. */
abstract class KvProposal implements Proposal {
  protected readonly service: KvService;
  protected readonly call: UnaryCall;

  constructor(service: KvService, call: UnaryCall) {
    this.service = service;
    this.call = call;
  }

  complete(result: ApplyResult): void {
    if (result.kind === 'error') {
      if (result.error === 'NO_SPACE') this.service.core.raiseNoSpace(() => this.fail('NO_SPACE'));
      else this.fail(result.error);
      return;
    }
    this.answer(result);
  }

  fail(error: EtcdErrorName): void {
    failWith(this.call, error);
  }

  protected abstract answer(result: ApplyResult): void;
}

class PutProposal extends KvProposal {
  protected answer(result: ApplyResult): void {
    invariant(result.kind === 'put', 'a put has the result of a put');
    this.call.reply(this.service.encoders.put, result.put);
  }
}

class DeleteProposal extends KvProposal {
  protected answer(result: ApplyResult): void {
    invariant(result.kind === 'deleteRange', 'a deletion has the result of one');
    this.call.reply(this.service.encoders.deleteRange, result.delete);
  }
}

class TxnProposal extends KvProposal {
  protected answer(result: ApplyResult): void {
    invariant(result.kind === 'txn', 'a transaction has the result of one');
    this.call.reply(this.service.encoders.txn, result.txn);
  }
}

class CompactProposal extends KvProposal {
  readonly #physical: boolean;

  constructor(service: KvService, call: UnaryCall, physical: boolean) {
    super(service, call);
    this.#physical = physical;
  }

  protected answer(result: ApplyResult): void {
    invariant(result.kind === 'compaction', 'a compaction has the result of one');
    if (this.#physical) void this.#answerWhenGone(result.revision, result.physical);
    else this.#reply(result.revision);
  }

  /** With the removal synced, a crash does not bring the rows (and their hash) back. */
  async #answerWhenGone(revision: number, physical: Promise<void>): Promise<void> {
    try {
      await physical;
      await this.service.core.machine.backend.commit();
      this.#reply(revision);
    } catch {
      // A failed backend stops the member; the client is told by that.
      this.fail('STOPPED');
    }
  }

  #reply(revision: number): void {
    const { clusterId, memberId, raft } = this.service.core;
    this.call.reply(methods.compact.response, {
      header: { clusterId, memberId, revision, raftTerm: raft.term },
    });
  }
}
