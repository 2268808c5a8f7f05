// Evaluation of a put request on a write transaction.

import { invariant, type Revision } from '../../base/index.ts';
import { EtcdError, type PutInPlace } from '../../protocol/index.ts';
import { KeyValueScanner } from '../key-value.ts';
import { ByteSlice, KeyState, type LeaseHooks } from '../types.ts';
import type { ReadView } from './range.ts';
import type { WriteTxn } from './write-txn.ts';

/** Answer to a put. */
export class PutResult {
  /** Revision for the response's header. */
  revision: Revision = 0;
  /** Whether there is a previous pair to answer with: `prev_kv` was asked for and the key existed. */
  hasPrevious = false;
  /** The encoded previous KeyValue. */
  readonly previous: ByteSlice = new ByteSlice();
}

const state = new KeyState();
const scanner = new KeyValueScanner();
const scratch = new ByteSlice();

/** LEASE_NOT_FOUND, then KEY_NOT_FOUND, by what the view says: before any effect. */
export function checkPut(view: ReadView, leases: LeaseHooks, request: PutInPlace): void {
  if (request.lease !== 0n && leases.slotOf(request.lease) === 0) {
    throw new EtcdError('LEASE_NOT_FOUND');
  }
  if (!request.ignoreValue && !request.ignoreLease) return;
  if (!view.index.get(request.keyText(), view.currentRev, state)) {
    throw new EtcdError('KEY_NOT_FOUND');
  }
}

/** Puts what a request that {@link checkPut} accepted says. */
export function executePut(txn: WriteTxn, request: PutInPlace, result: PutResult): void {
  const key = request.keyText();
  let { valueBytes, valueOffset, valueLength, lease } = request;
  result.hasPrevious = false;
  if (request.ignoreValue || request.ignoreLease || request.prevKv) {
    const exists = txn.index.get(key, txn.currentRev, state);
    if (exists) {
      const previous = request.prevKv ? result.previous : scratch;
      txn.rows.readRow(state.modMain, state.modSub, previous);
      result.hasPrevious = request.prevKv;
      scanner.scanSlice(previous);
      if (request.ignoreValue) {
        valueBytes = previous.buffer;
        valueOffset = scanner.valueOffset;
        valueLength = scanner.valueLength;
      }
      if (request.ignoreLease) lease = scanner.lease();
    } else {
      invariant(!request.ignoreValue && !request.ignoreLease, 'the key of a checked put exists');
    }
  }
  txn.put(key, valueBytes, valueOffset, valueLength, lease);
  result.revision = txn.currentRev;
}

/** Evaluates a put request on its own: LEASE_NOT_FOUND or KEY_NOT_FOUND without any effect. */
export function evaluatePut(txn: WriteTxn, request: PutInPlace, result: PutResult): void {
  checkPut(txn, txn.leases, request);
  executePut(txn, request, result);
}
