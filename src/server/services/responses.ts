// Hand-written encoders of key-value responses: stored KeyValues are copied in without decoding.
//
//   RangeResponse        header 1, kvs 2 *, more 3, count 4
//   PutResponse          header 1, prev_kv 2
//   DeleteRangeResponse  header 1, deleted 2, prev_kvs 3 *
//   TxnResponse          header 1, succeeded 2, responses 3 * { range 1 | put 2 | delete 3 | txn 4 }
//
// The header of an answer is complete; those of the operations inside a transaction carry only a
// revision, and that of a nested transaction nothing, as in etcd.

import { copyBytes, invariant, type Revision, varintSize, writeVarint } from '../../base/index.ts';
import type { Encoder } from '../../grpc/index.ts';
import {
  type ByteSlice,
  type DeleteResult,
  type OpResult,
  type PutResult,
  type RangeResult,
  TAG_RANGE_KVS,
  type TxnResult,
} from '../../mvcc/index.ts';
import type { ApplyResult } from '../../store/index.ts';

const TAG_HEADER = 0x0a;
const TAG_HEADER_REVISION = 0x18;
export const TAG_RANGE_MORE = 0x18;
export const TAG_RANGE_COUNT = 0x20;
const TAG_PUT_PREV_KV = 0x12;
export const TAG_DELETED = 0x10;
export const TAG_DELETE_PREV_KVS = 0x1a;
export const TAG_SUCCEEDED = 0x10;
export const TAG_RESPONSES = 0x1a;
export const OP_TAGS = { range: 0x0a, put: 0x12, delete: 0x1a, txn: 0x22 } as const;

/** Writes the header of an answer or of an operation. */
export interface HeaderWriter {
  size(revision: Revision): number;
  write(revision: Revision, target: Uint8Array, offset: number): number;
}

/** The header of an operation inside a transaction. */
export const INNER_HEADER: HeaderWriter = {
  size: (revision) => (revision === 0 ? 2 : 3 + varintSize(revision)),
  write: (revision, target, offset) => {
    target[offset] = TAG_HEADER;
    if (revision === 0) {
      target[offset + 1] = 0;
      return offset + 2;
    }
    target[offset + 1] = 1 + varintSize(revision);
    target[offset + 2] = TAG_HEADER_REVISION;
    return writeVarint(revision, target, offset + 3);
  },
};

// --- Bodies ----------------------------------------------------------------------------------------

export function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

export function copyField(
  tag: number,
  buffer: Uint8Array,
  start: number,
  length: number,
  target: Uint8Array,
  offset: number,
): number {
  target[offset] = tag;
  const at = writeVarint(length, target, offset + 1);
  copyBytes(buffer, start, length, target, at);
  return at + length;
}

export function kvsSize(result: RangeResult): number {
  let size = 0;
  for (let i = 0; i < result.lengths.length; i++) size += pieceSize(result, i);
  return size;
}

/** Bytes of piece `i` of a result, as a field or as several. */
export function pieceSize({ lengths, runs }: RangeResult, i: number): number {
  return runs[i] === 0 ? fieldSize(lengths[i]!) : lengths[i]!;
}

/** Writes piece `i` of a result; only those of a range may be runs. */
export function copyPiece(
  tag: number,
  { buffers, offsets, lengths, runs }: RangeResult,
  i: number,
  target: Uint8Array,
  offset: number,
): number {
  if (runs[i] === 0) return copyField(tag, buffers[i]!, offsets[i]!, lengths[i]!, target, offset);
  invariant(tag === TAG_RANGE_KVS, 'runs are of ranges');
  copyBytes(buffers[i]!, offsets[i]!, lengths[i]!, target, offset);
  return offset + lengths[i]!;
}

function writeKvs(tag: number, result: RangeResult, target: Uint8Array, offset: number): number {
  let at = offset;
  for (let i = 0; i < result.lengths.length; i++) at = copyPiece(tag, result, i, target, at);
  return at;
}

function rangeSize(header: HeaderWriter, result: RangeResult): number {
  let size = header.size(result.revision) + kvsSize(result);
  if (result.more) size += 2;
  if (result.count !== 0) size += 1 + varintSize(result.count);
  return size;
}

function writeRange(
  header: HeaderWriter,
  result: RangeResult,
  target: Uint8Array,
  offset: number,
): number {
  let at = header.write(result.revision, target, offset);
  at = writeKvs(TAG_RANGE_KVS, result, target, at);
  if (result.more) {
    target[at++] = TAG_RANGE_MORE;
    target[at++] = 1;
  }
  if (result.count !== 0) {
    target[at++] = TAG_RANGE_COUNT;
    at = writeVarint(result.count, target, at);
  }
  return at;
}

export function putSize(header: HeaderWriter, result: PutResult): number {
  const size = header.size(result.revision);
  return result.hasPrevious ? size + fieldSize(result.previous.length) : size;
}

export function writePut(
  header: HeaderWriter,
  result: PutResult,
  target: Uint8Array,
  offset: number,
): number {
  const at = header.write(result.revision, target, offset);
  if (!result.hasPrevious) return at;
  const { buffer, offset: start, length }: ByteSlice = result.previous;
  return copyField(TAG_PUT_PREV_KV, buffer, start, length, target, at);
}

function deleteSize(header: HeaderWriter, result: DeleteResult): number {
  let size = header.size(result.revision) + kvsSize(result.previous);
  if (result.deleted !== 0) size += 1 + varintSize(result.deleted);
  return size;
}

function writeDelete(
  header: HeaderWriter,
  result: DeleteResult,
  target: Uint8Array,
  offset: number,
): number {
  let at = header.write(result.revision, target, offset);
  if (result.deleted !== 0) {
    target[at++] = TAG_DELETED;
    at = writeVarint(result.deleted, target, at);
  }
  return writeKvs(TAG_DELETE_PREV_KVS, result.previous, target, at);
}

function opSize(op: OpResult): number {
  switch (op.kind) {
    case 'range':
      return fieldSize(rangeSize(INNER_HEADER, op.range));
    case 'put':
      return fieldSize(putSize(INNER_HEADER, op.put));
    case 'delete':
      return fieldSize(deleteSize(INNER_HEADER, op.delete));
    case 'txn':
      return fieldSize(txnSize(INNER_HEADER, op.txn));
    case 'none':
      return 0;
  }
}

function writeOp(op: OpResult, target: Uint8Array, offset: number): number {
  if (op.kind === 'none') return offset;
  target[offset] = OP_TAGS[op.kind];
  const at = offset + 1;
  switch (op.kind) {
    case 'range': {
      const start = writeVarint(rangeSize(INNER_HEADER, op.range), target, at);
      return writeRange(INNER_HEADER, op.range, target, start);
    }
    case 'put': {
      const start = writeVarint(putSize(INNER_HEADER, op.put), target, at);
      return writePut(INNER_HEADER, op.put, target, start);
    }
    case 'delete': {
      const start = writeVarint(deleteSize(INNER_HEADER, op.delete), target, at);
      return writeDelete(INNER_HEADER, op.delete, target, start);
    }
    case 'txn': {
      const start = writeVarint(txnSize(INNER_HEADER, op.txn), target, at);
      return writeTxn(INNER_HEADER, op.txn, target, start);
    }
  }
}

function txnSize(header: HeaderWriter, result: TxnResult): number {
  let size = header.size(result.revision);
  if (result.succeeded) size += 2;
  for (const op of result.responses) size += fieldSize(opSize(op));
  return size;
}

function writeTxn(
  header: HeaderWriter,
  result: TxnResult,
  target: Uint8Array,
  offset: number,
): number {
  let at = header.write(result.revision, target, offset);
  if (result.succeeded) {
    target[at++] = TAG_SUCCEEDED;
    target[at++] = 1;
  }
  for (const op of result.responses) {
    target[at++] = TAG_RESPONSES;
    at = writeVarint(opSize(op), target, at);
    at = writeOp(op, target, at);
  }
  return at;
}

// --- Encoders --------------------------------------------------------------------------------------

/** Encoders of whole answers, for one member. */
export interface KvEncoders {
  readonly range: Encoder<RangeResult>;
  readonly put: Encoder<PutResult>;
  readonly deleteRange: Encoder<DeleteResult>;
  readonly txn: Encoder<TxnResult>;
}

export function kvEncoders(header: HeaderWriter): KvEncoders {
  return {
    range: {
      size: (result) => rangeSize(header, result),
      write: (result, target, offset) => writeRange(header, result, target, offset),
    },
    put: {
      size: (result) => putSize(header, result),
      write: (result, target, offset) => writePut(header, result, target, offset),
    },
    deleteRange: {
      size: (result) => deleteSize(header, result),
      write: (result, target, offset) => writeDelete(header, result, target, offset),
    },
    txn: {
      size: (result) => txnSize(header, result),
      write: (result, target, offset) => writeTxn(header, result, target, offset),
    },
  };
}

/** Bytes of the answer as the state machine makes it, with a revision alone in its header. */
export function sizeOfResult(result: ApplyResult): number | undefined {
  switch (result.kind) {
    case 'put':
      return putSize(INNER_HEADER, result.put);
    case 'range':
      return rangeSize(INNER_HEADER, result.range);
    case 'deleteRange':
      return deleteSize(INNER_HEADER, result.delete);
    case 'txn':
      return txnSize(INNER_HEADER, result.txn);
    case 'compaction':
      return INNER_HEADER.size(result.revision);
    default:
      return undefined;
  }
}
