// etcdserverpb.KV: ranges, puts, deletions, transactions, compaction. Hot: one small object per
// request beyond the call and the decoded message, no promise and no closure.

import { type Access, rangeRefusal, txnRefusal } from '../../auth/index.ts';
import { invariant, Slices } from '../../base/index.ts';
import { type Encoder, GrpcStatusError, type Pieces, STATUS } from '../../grpc/index.ts';
import {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkTxnRequest,
  type DeleteResult,
  isTxnReadonly,
  isTxnSerializable,
  RangeResult,
  RangeRun,
  type TxnResult,
  TxnRun,
} from '../../mvcc/index.ts';
import {
  type EtcdErrorName,
  etcdserverpb,
  type PutInPlace,
  readPutRequest,
} from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import {
  type ApplyResult,
  costOfPut,
  costOfTxn,
  type PinnedView,
  REQUEST_KIND,
} from '../../store/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { ServerConfig } from '../config/index.ts';
import type { Proposal, Proposals } from '../consensus/proposals.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { NoSpaceAlarm } from '../duties/no-space-alarm.ts';
import type { Quota } from '../duties/quota.ts';
import {
  ANSWER_BYTES_AT_ONCE,
  RANGE_FIRST_SLICE_MS,
  RANGE_FIRST_STEP_KEYS,
  RANGE_STEP_KEYS,
  RANGE_STEPS_AT_ONCE,
  RESPONSE_BYTES_MAX,
  RUNS_BYTES_AT_ONCE,
} from '../limits.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import type { RequestTimes } from '../telemetry/request-times.ts';
import type { SlowRequests } from '../telemetry/slow-requests.ts';
import { readLargeRange } from './large-range.ts';
import {
  bodyOf,
  deleteAnswer,
  type LongAnswer,
  type OpBody,
  type RangeBody,
  rangeAnswer,
  txnAnswer,
} from './long-answer.ts';
import { type RangeStreamParts, registerRangeStream } from './range-stream.ts';
import { readFailure } from './read-failure.ts';
import type { ResponseHeaders } from './response-header.ts';
import { type KvEncoders, kvEncoders, sizeOfResult } from './responses.ts';
import { ReadonlyTxn, WaitingRange } from './waiting-reads.ts';

const methods = etcdserverpb.KVService.methods;

export interface KvParts extends RangeStreamParts {
  readonly config: RangeStreamParts['config'] & Pick<ServerConfig, 'maxTxnOps'>;
  readonly metrics: Pick<ServerMetrics, 'mvcc'>;
  readonly header: ResponseHeaders;
  readonly proposals: Pick<Proposals, 'propose'>;
  readonly reads: Pick<ReadIndexQueue, 'request'>;
  readonly quota: Pick<Quota, 'isAvailable'>;
  readonly noSpaceAlarm: Pick<NoSpaceAlarm, 'raise'>;
  readonly callers: Pick<Callers, 'areAsked' | 'check' | 'isOutdated'>;
  readonly store: StoreView<'backend' | 'kv'>;
  readonly requestTimes: RangeStreamParts['requestTimes'] &
    Pick<RequestTimes, 'endRange' | 'dropRange' | 'endTxn'>;
  readonly slow: Pick<SlowRequests, 'nowMs' | 'readMs' | 'endRange' | 'endTxn'>;
}

export function registerKvService(table: ServiceTable, parts: KvParts): void {
  const service = new KvService(parts);
  table.unary(methods.range, (call, request) => service.range(call, request), {
    access: 'handler',
    check: checkRangeRequest,
    servedByLearner: (request) => request.serializable,
  });
  table.unary(
    methods.put,
    (call, request, bytes) => service.put(call, request, bytes),
    {
      access: 'token',
      check: checkPutRequest,
    },
    readPutRequest,
  );
  table.unary(methods.deleteRange, (call, _request, bytes) => service.deleteRange(call, bytes), {
    access: 'token',
    check: checkDeleteRangeRequest,
  });
  table.unary(methods.txn, (call, request, bytes) => service.txn(call, request, bytes), {
    access: (request) => (isTxnReadonly(request) ? 'handler' : 'token'),
    check: (request) => checkTxnRequest(request, parts.config.maxTxnOps),
  });
  table.unary(methods.compact, (call, request, bytes) => service.compact(call, request, bytes), {
    access: 'root',
  });
  registerRangeStream(table, parts);
}

/** With grpc-go's text. */
function failTooLarge(call: UnaryCall, size: number): void {
  const text = `grpc: trying to send message larger than max (${size} vs. ${RESPONSE_BYTES_MAX})`;
  call.fail(STATUS.RESOURCE_EXHAUSTED, text);
}

class KvService {
  readonly parts: KvParts;
  readonly encoders: KvEncoders;
  /** Shared by all ranges that end in one turn. */
  readonly #rangeRun = new RangeRun();
  readonly #readonlyTxn = new TxnRun();
  #rangeResult = new RangeResult(true);

  constructor(parts: KvParts) {
    this.parts = parts;
    this.encoders = kvEncoders(parts.header);
  }

  range(call: UnaryCall, request: etcdserverpb.RangeRequest): void {
    const { reads, callers } = this.parts;
    if (request.serializable && !callers.areAsked) {
      const { nowMs } = this.parts.slow;
      this.serveRange(call, request, nowMs, nowMs);
    } else {
      const read = new WaitingRange(this, call, request);
      if (request.serializable) read.onRoom();
      else reads.request(read, request.key.length + request.rangeEnd.length);
    }
  }

  /**
   * Evaluates and answers, in this turn unless the range is large or its caller not known at once. It
   * arrived at `sinceMs`, and may be evaluated since `agreedMs`.
   */
  serveRange(
    call: UnaryCall,
    request: etcdserverpb.RangeRequest,
    sinceMs: number,
    agreedMs: number,
  ): void {
    const { callers, requestTimes } = this.parts;
    if (!callers.areAsked && call.isWanted()) this.#answerRange(call, request, sinceMs, agreedMs);
    else {
      this.#whenPermitted(
        call,
        (access) => rangeRefusal(access, request),
        () => this.#answerRange(call, request, sinceMs, agreedMs),
        () => requestTimes.dropRange(sinceMs),
      );
    }
  }

  #whenPermitted(
    call: UnaryCall,
    refusalOf: (access: Access) => EtcdErrorName | undefined,
    then: () => void,
    otherwise: () => void,
  ): void {
    const { callers } = this.parts;
    if (!call.isWanted()) {
      otherwise();
      return;
    }
    callers.check(call, refusalOf, (refusal) => {
      const failure = refusal ?? (callers.isOutdated(call) ? 'AUTH_OLD_REVISION' : undefined);
      if (failure !== undefined) failWith(call, failure);
      if (failure === undefined && call.isWanted()) then();
      else otherwise();
    });
  }

  #answerRange(
    call: UnaryCall,
    request: etcdserverpb.RangeRequest,
    sinceMs: number,
    agreedMs: number,
  ): void {
    const { store, metrics, requestTimes } = this.parts;
    metrics.mvcc.ranges.value++;
    const beganMs = requestTimes.beginRange();
    const run = this.#rangeRun;
    const result = this.#rangeResult;
    try {
      run.start(store.machine.kv, request, result);
      if (run.step(RANGE_FIRST_STEP_KEYS) || this.#endsInThisTurn(run)) {
        const bytes = result.byteCount();
        if (bytes <= (result.hasRuns ? RUNS_BYTES_AT_ONCE : ANSWER_BYTES_AT_ONCE)) {
          requestTimes.endRange(true, sinceMs, beganMs);
          call.reply(this.encoders.range, result);
          this.#explainRange(request, sinceMs, agreedMs, result);
          result.reset();
          return;
        }
        // The result is used beyond this turn, so the next range gets another one.
        this.#rangeResult = new RangeResult(true);
        if (call.mayHold(bytes)) {
          requestTimes.endRange(true, sinceMs, beganMs);
          call.holdMemory(bytes);
          this.#replyLong(call, rangeAnswer(this.parts.header, bodyOf(result)));
          this.#explainRange(request, sinceMs, agreedMs, result);
          return;
        }
      }
    } catch (error) {
      requestTimes.endRange(false, sinceMs, beganMs);
      const reason = this.#failRead(call, error);
      this.#explainRange(request, sinceMs, agreedMs, undefined, reason);
      return;
    }
    void this.#serveLargeRange(call, request, sinceMs, agreedMs, beganMs);
  }

  /** Leaves lines about a range that waited long and was then evaluated in one turn, if it did. */
  #explainRange(
    request: etcdserverpb.RangeRequest,
    sinceMs: number,
    agreedMs: number,
    result: RangeResult | undefined,
    error?: string,
  ): void {
    const { slow } = this.parts;
    if (agreedMs - sinceMs <= slow.readMs) return;
    const size = (result && sizeOfResult({ kind: 'range', range: result })) ?? 0;
    const answer = result && { count: result.size, revision: result.revision, size };
    slow.endRange(request, { sinceMs, agreedMs, endMs: agreedMs }, answer, error);
  }

  /** Goes on with a range that is longer than a step, for a slice, unless it is much longer. */
  #endsInThisTurn(run: RangeRun): boolean {
    if (run.isLongerThan(RANGE_STEPS_AT_ONCE * RANGE_FIRST_STEP_KEYS)) return false;
    const slice = new Slices(this.parts.env, RANGE_FIRST_SLICE_MS);
    for (let steps = 1; steps < RANGE_STEPS_AT_ONCE && !slice.isOver; steps++) {
      if (run.step(RANGE_FIRST_STEP_KEYS)) return true;
    }
    return false;
  }

  /** In slices, at the revision of the first one; further rows are read while the answer is sent. */
  async #serveLargeRange(
    call: UnaryCall,
    request: etcdserverpb.RangeRequest,
    sinceMs: number,
    agreedMs: number,
    beganMs: number,
  ): Promise<void> {
    const { requestTimes, slow, store } = this.parts;
    const { kv } = store.machine;
    let success = false;
    await this.#servePinned(
      call,
      kv.pin(request.revision > 0 ? request.revision : kv.currentRev),
      async (pin, slices) => {
        const body = await readLargeRange(pin, request, slices, call);
        if (body === undefined) return undefined;
        success = true;
        const endMs = slow.nowMs;
        if (endMs - sinceMs > slow.readMs) {
          const answer = { count: body.count, revision: body.revision, size: body.kvsSize };
          slow.endRange(request, { sinceMs, agreedMs, endMs }, answer);
        }
        return rangeAnswer(this.parts.header, body);
      },
    );
    requestTimes.endRange(success, sinceMs, beganMs);
  }

  /** Answers from a view that is held until the last piece of the answer is made. */
  async #servePinned(
    call: UnaryCall,
    pin: PinnedView,
    prepare: (pin: PinnedView, slices: Slices) => Promise<LongAnswer | undefined>,
  ): Promise<void> {
    let answer: LongAnswer | undefined;
    try {
      answer = await prepare(pin, new Slices(this.parts.env));
    } catch (error) {
      this.#failRead(call, error);
    }
    if (answer === undefined) pin.release();
    else if (this.parts.callers.isOutdated(call)) {
      // It was permitted when it began.
      answer.pieces.return?.();
      pin.release();
      failWith(call, 'AUTH_OLD_REVISION');
    } else {
      const { size, pieces } = answer;
      this.#replyLong(call, { size, pieces: this.#releasing(pin, pieces) });
    }
  }

  /** Wraps `pieces`: errors become the answer's status, and the view is released at the end. */
  #releasing(pin: PinnedView, pieces: Pieces): Pieces {
    return {
      next: () => {
        try {
          return pieces.next();
        } catch (error) {
          const { status, message } = readFailure(this.parts.log, error);
          throw new GrpcStatusError(status, message);
        }
      },
      return: () => {
        pin.release();
        return { done: true, value: undefined };
      },
    };
  }

  /** Answers in pieces, unless the size exceeds RESPONSE_BYTES_MAX. */
  #replyLong(call: UnaryCall, { size, pieces }: LongAnswer): void {
    if (size <= RESPONSE_BYTES_MAX) call.replyInPieces(size, pieces);
    else {
      pieces.return?.();
      failTooLarge(call, size);
    }
  }

  /** Answers with the whole message if it is small, else in the pieces that `long` makes. */
  replyWith<T>(
    call: UnaryCall,
    encoder: Encoder<T>,
    result: T,
    long: (result: T) => LongAnswer,
  ): void {
    const size = encoder.size(result);
    if (size <= ANSWER_BYTES_AT_ONCE) call.reply(encoder, result);
    else {
      call.holdMemory(size);
      this.#replyLong(call, long(result));
    }
  }

  replyDelete(call: UnaryCall, result: DeleteResult): void {
    this.replyWith(call, this.encoders.deleteRange, result, (large) =>
      deleteAnswer(this.parts.header, large),
    );
  }

  replyTxn(call: UnaryCall, result: TxnResult): void {
    this.replyWith(call, this.encoders.txn, result, (large) =>
      txnAnswer(this.parts.header, large, large.responses),
    );
  }

  put(call: UnaryCall, request: PutInPlace, bytes: Uint8Array): void {
    if (!this.parts.quota.isAvailable(costOfPut(request.keyLength, request.valueLength))) {
      this.#refuseForSpace(call);
      return;
    }
    const proposal = new PutProposal(this, call);
    this.parts.proposals.propose(REQUEST_KIND.PUT, call.caller, bytes, 0, bytes.length, proposal);
  }

  deleteRange(call: UnaryCall, bytes: Uint8Array): void {
    const proposal = new DeleteProposal(this, call);
    this.parts.proposals.propose(
      REQUEST_KIND.DELETE_RANGE,
      call.caller,
      bytes,
      0,
      bytes.length,
      proposal,
    );
  }

  txn(call: UnaryCall, request: etcdserverpb.TxnRequest, bytes: Uint8Array): void {
    if (isTxnReadonly(request)) {
      const read = new ReadonlyTxn(this, call, bytes);
      if (isTxnSerializable(request)) read.serve();
      else this.parts.reads.request(read, bytes.length);
      return;
    }
    const cost = costOfTxn(request);
    if (cost > 0 && !this.parts.quota.isAvailable(cost)) {
      this.#refuseForSpace(call);
      return;
    }
    const proposal = new TxnProposal(this, call);
    this.parts.proposals.propose(REQUEST_KIND.TXN, call.caller, bytes, 0, bytes.length, proposal);
  }

  /** Evaluates and answers a transaction that only reads. */
  serveReadonlyTxn(call: UnaryCall, request: etcdserverpb.TxnRequest, sinceMs: number): void {
    const { callers, requestTimes, slow } = this.parts;
    const agreedMs = slow.nowMs;
    if (!callers.areAsked && call.isWanted()) {
      this.#answerReadonlyTxn(call, request, sinceMs, agreedMs);
    } else {
      this.#whenPermitted(
        call,
        (access) => txnRefusal(access, request, []),
        () => this.#answerReadonlyTxn(call, request, sinceMs, agreedMs),
        () => requestTimes.endTxn(false, sinceMs),
      );
    }
  }

  #answerReadonlyTxn(
    call: UnaryCall,
    request: etcdserverpb.TxnRequest,
    sinceMs: number,
    agreedMs: number,
  ): void {
    const { requestTimes, slow } = this.parts;
    const { kv } = this.parts.store.machine;
    const explain = (counts: readonly number[], revision: number, size: number): void => {
      const times = { sinceMs, agreedMs, endMs: slow.nowMs };
      slow.endTxn(request, times, { counts, revision, size }, isTxnSerializable(request));
    };
    const run = this.#readonlyTxn;
    try {
      run.startReadonly(kv, request);
      if (run.step(RANGE_STEP_KEYS) && call.mayHold(this.encoders.txn.size(run.result))) {
        requestTimes.endTxn(true, sinceMs);
        this.replyTxn(call, run.result);
        if (agreedMs - sinceMs > slow.readMs) {
          const { responses, revision } = run.result;
          explain(responses.map(countOf), revision, this.encoders.txn.size(run.result));
        }
        return;
      }
    } catch (error) {
      requestTimes.endTxn(false, sinceMs);
      this.#failRead(call, error);
      return;
    }
    // Evaluated again from the start, on a pinned view.
    let success = false;
    void this.#servePinned(call, kv.pin(Math.max(kv.compactedRev, 0)), (pin, slices) =>
      this.#readLargeTxn(call, request, pin, slices, (ranges) => {
        success = true;
        if (slow.nowMs - sinceMs <= slow.readMs) return;
        const size = ranges.reduce((sum, { kvsSize }) => sum + kvsSize, 0);
        explain(
          ranges.map(({ count }) => count),
          pin.currentRev,
          size,
        );
      }),
    ).then(() => requestTimes.endTxn(success, sinceMs));
  }

  async #readLargeTxn(
    call: UnaryCall,
    request: etcdserverpb.TxnRequest,
    pin: PinnedView,
    slices: Slices,
    onRead: (ranges: readonly RangeBody[]) => void,
  ): Promise<LongAnswer | undefined> {
    const run = new TxnRun();
    run.startReadonly(pin, request, true);
    while (!run.step(RANGE_STEP_KEYS)) {
      if (slices.isOver) await slices.next();
      if (call.ended) return undefined;
    }
    const ops: OpBody[] = [];
    const ranges: RangeBody[] = [];
    for (const op of run.result.succeeded ? request.success : request.failure) {
      invariant(op.request?.case === 'requestRange', 'the transaction only reads');
      const range = await readLargeRange(pin, op.request.value, slices, call);
      if (range === undefined) return undefined;
      ops.push({ kind: 'body', range });
      ranges.push(range);
    }
    onRead(ranges);
    return txnAnswer(this.parts.header, run.result, ops);
  }

  /** Returns what the client is told. */
  #failRead(call: UnaryCall, error: unknown): string {
    const { status, message } = readFailure(this.parts.log, error);
    call.fail(status, message);
    return message;
  }

  compact(call: UnaryCall, request: etcdserverpb.CompactionRequest, bytes: Uint8Array): void {
    const proposal = new CompactProposal(this, call, request.physical);
    this.parts.proposals.propose(
      REQUEST_KIND.COMPACTION,
      call.caller,
      bytes,
      0,
      bytes.length,
      proposal,
    );
  }

  #refuseForSpace(call: UnaryCall): void {
    this.parts.noSpaceAlarm.raise(() => failWith(call, 'NO_SPACE'));
  }
}

function countOf(op: TxnResult['responses'][number]): number {
  return op.kind === 'range' ? op.range.size : 0;
}

// --- What waits ------------------------------------------------------------------------------------

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
      if (result.error === 'NO_SPACE')
        this.service.parts.noSpaceAlarm.raise(() => this.fail('NO_SPACE'));
      else this.fail(result.error);
      return;
    }
    this.answer(result);
  }

  fail(error: EtcdErrorName): void {
    failWith(this.call, error);
  }

  isWanted(): boolean {
    return this.call.isWanted();
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
    this.service.replyDelete(this.call, result.delete);
  }
}

class TxnProposal extends KvProposal {
  protected answer(result: ApplyResult): void {
    invariant(result.kind === 'txn', 'a transaction has the result of one');
    this.service.replyTxn(this.call, result.txn);
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

  /** Answers once the removal is synced, so that a crash does not restore the rows (and their hash). */
  async #answerWhenGone(revision: number, physical: Promise<void>): Promise<void> {
    try {
      await physical;
      await this.service.parts.store.machine.backend.commit();
      this.#reply(revision);
    } catch {
      // A failed backend stops the member.
      this.fail('STOPPED');
    }
  }

  #reply(revision: number): void {
    const { header } = this.service.parts;
    this.call.reply(methods.compact.response, { header: header.message(revision) });
  }
}
