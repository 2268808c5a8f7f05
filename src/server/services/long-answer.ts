// Answers too large to be encoded in one turn: their size is computed first, their bytes are made while
// they are sent. An answer is a tree of sections, one per nested message:
//
//     range    header, pairs, more, count
//     delete   header, deleted, previous pairs
//     txn      header, succeeded, for each operation { its tag, a section }
//
// The pairs of a range may not be read yet; see `large-range.ts`.

import { EMPTY_BYTES, type Revision, varintSize, writeVarint } from '../../base/index.ts';
import { outputBuffers, type Pieces } from '../../grpc/index.ts';
import {
  type DeleteResult,
  type OpResult,
  type PutResult,
  type RangeResult,
  TAG_RANGE_KVS,
  type TxnResult,
} from '../../mvcc/index.ts';
import type { ResponseHeaders } from './response-header.ts';
import {
  copyPiece,
  fieldSize,
  type HeaderWriter,
  INNER_HEADER,
  kvsSize,
  OP_TAGS,
  pieceSize,
  putSize,
  TAG_DELETE_PREV_KVS,
  TAG_DELETED,
  TAG_RANGE_COUNT,
  TAG_RANGE_MORE,
  TAG_RESPONSES,
  TAG_SUCCEEDED,
  writePut,
} from './responses.ts';

/** Bytes of a piece at most, unless a single pair is larger. */
const PIECE_BYTES: number = 64 * 1024;

/** Parts are joined up to here: what is queued for the socket in larger ones is not copied. */
const PART_BYTES_MIN: number = 8 * 1024;

/** A row from this size on is sent from where it is, without a copy. */
const ROW_PASSED_MIN: number = PIECE_BYTES / 2;

/** The same of a run of rows, which is a field already and needs nothing before it. */
const RUN_PASSED_MIN: number = PART_BYTES_MIN;

type Parts = Generator<Uint8Array, void, undefined>;

/** A message, or the content of one. */
interface Section {
  readonly size: number;
  parts(): Parts;
}

/** The answer to a range. */
export interface RangeBody {
  readonly revision: Revision;
  readonly count: number;
  readonly more: boolean;
  /** Bytes of all pairs as fields of the answer. */
  readonly kvsSize: number;
  /** The pairs as fields of the answer, cut anywhere between two. */
  kvs(): Parts;
}

/** An operation of a transaction that only reads, or the result of any. */
export type OpBody = { readonly kind: 'body'; readonly range: RangeBody } | OpResult;

/** A message to be sent piece by piece. */
export interface LongAnswer {
  readonly size: number;
  readonly pieces: Pieces;
}

export function rangeAnswer(header: ResponseHeaders, body: RangeBody): LongAnswer {
  return answerOf(rangeSection(fixedHeader(header, body.revision), body));
}

export function deleteAnswer(header: ResponseHeaders, result: DeleteResult): LongAnswer {
  return answerOf(deleteSection(fixedHeader(header, result.revision), result));
}

export function txnAnswer(
  header: ResponseHeaders,
  txn: Pick<TxnResult, 'revision' | 'succeeded'>,
  ops: readonly OpBody[],
): LongAnswer {
  return answerOf(txnSection(fixedHeader(header, txn.revision), txn, ops));
}

/** The pairs of a result that has been read. */
export function bodyOf(result: RangeResult): RangeBody {
  const { revision, count, more } = result;
  const kvs = (): Parts => resultParts(TAG_RANGE_KVS, result);
  return { revision, count, more, kvsSize: kvsSize(result), kvs };
}

function answerOf(section: Section): LongAnswer {
  return { size: section.size, pieces: joined(section.parts()) };
}

// --- Sections --------------------------------------------------------------------------------------

function rangeSection(header: HeaderWriter, body: RangeBody): Section {
  const { revision, count, more } = body;
  const head = headerBytes(header, revision);
  const tail = new Uint8Array((more ? 2 : 0) + (count === 0 ? 0 : 1 + varintSize(count)));
  let at = 0;
  if (more) {
    tail[at++] = TAG_RANGE_MORE;
    tail[at++] = 1;
  }
  if (count !== 0) {
    tail[at++] = TAG_RANGE_COUNT;
    writeVarint(count, tail, at);
  }
  return {
    size: head.length + body.kvsSize + tail.length,
    *parts() {
      yield head;
      yield* body.kvs();
      yield tail;
    },
  };
}

function deleteSection(header: HeaderWriter, result: DeleteResult): Section {
  const { revision, deleted, previous } = result;
  const head = headerBytes(header, revision);
  const count = new Uint8Array(deleted === 0 ? 0 : 1 + varintSize(deleted));
  if (deleted !== 0) {
    count[0] = TAG_DELETED;
    writeVarint(deleted, count, 1);
  }
  return {
    size: head.length + count.length + kvsSize(previous),
    *parts() {
      yield head;
      yield count;
      yield* resultParts(TAG_DELETE_PREV_KVS, previous);
    },
  };
}

function putSection(result: PutResult): Section {
  const size = putSize(INNER_HEADER, result);
  return {
    size,
    *parts() {
      const bytes = Buffer.allocUnsafe(size);
      writePut(INNER_HEADER, result, bytes, 0);
      yield bytes;
    },
  };
}

function txnSection(
  header: HeaderWriter,
  { revision, succeeded }: Pick<TxnResult, 'revision' | 'succeeded'>,
  ops: readonly OpBody[],
): Section {
  const head = headerBytes(header, revision);
  const flag = succeeded ? Uint8Array.of(TAG_SUCCEEDED, 1) : EMPTY_BYTES;
  const sections = ops.map(opSection);
  let size = head.length + flag.length;
  for (const section of sections) size += fieldSize(section.size);
  return {
    size,
    *parts() {
      yield head;
      yield flag;
      for (const section of sections) {
        yield fieldHead(TAG_RESPONSES, section.size);
        yield* section.parts();
      }
    },
  };
}

const NOTHING: Section = { size: 0, *parts() {} };

/** The answer of an operation as a field of its kind. */
function opSection(op: OpBody): Section {
  switch (op.kind) {
    case 'none':
      return NOTHING;
    case 'body':
      return fieldSection(OP_TAGS.range, rangeSection(INNER_HEADER, op.range));
    case 'range':
      return fieldSection(OP_TAGS.range, rangeSection(INNER_HEADER, bodyOf(op.range)));
    case 'put':
      return fieldSection(OP_TAGS.put, putSection(op.put));
    case 'delete':
      return fieldSection(OP_TAGS.delete, deleteSection(INNER_HEADER, op.delete));
    case 'txn':
      return fieldSection(OP_TAGS.txn, txnSection(INNER_HEADER, op.txn, op.txn.responses));
  }
}

function fieldSection(tag: number, inner: Section): Section {
  return {
    size: fieldSize(inner.size),
    *parts() {
      yield fieldHead(tag, inner.size);
      yield* inner.parts();
    },
  };
}

// --- Bytes -----------------------------------------------------------------------------------------

function fieldHead(tag: number, size: number): Uint8Array {
  const head = new Uint8Array(1 + varintSize(size));
  head[0] = tag;
  writeVarint(size, head, 1);
  return head;
}

function headerBytes(header: HeaderWriter, revision: Revision): Uint8Array {
  const bytes = new Uint8Array(header.size(revision));
  header.write(revision, bytes, 0);
  return bytes;
}

/** The current header: the term may change while the answer is sent. */
function fixedHeader(header: ResponseHeaders, revision: Revision): HeaderWriter {
  const bytes = headerBytes(header, revision);
  return {
    size: () => bytes.length,
    write: (_revision, target, offset) => {
      target.set(bytes, offset);
      return offset + bytes.length;
    },
  };
}

/** Whether a piece of a result is sent from where it is. */
function isPassed({ lengths, runs }: RangeResult, i: number): boolean {
  return lengths[i]! >= (runs[i] === 0 ? ROW_PASSED_MIN : RUN_PASSED_MIN);
}

/** The pairs of a result as fields: large pieces where they are, small ones joined. */
function* resultParts(tag: number, result: RangeResult): Parts {
  const { buffers, offsets, lengths, runs } = result;
  for (let next = 0; next < buffers.length; ) {
    if (isPassed(result, next)) {
      const length = lengths[next]!;
      if (runs[next] === 0) yield fieldHead(tag, length);
      yield buffers[next]!.subarray(offsets[next]!, offsets[next]! + length);
      next++;
      continue;
    }
    const first = next;
    let size = 0;
    while (next < buffers.length && !isPassed(result, next)) {
      const field = pieceSize(result, next);
      if (size + field > PIECE_BYTES) break;
      size += field;
      next++;
    }
    const part = outputBuffers.take(size).subarray(0, size);
    let at = 0;
    for (let i = first; i < next; i++) at = copyPiece(tag, result, i, part, at);
    yield part;
  }
}

/** Joins small parts, passes large ones on; none is empty. */
function* joined(parts: Parts): Parts {
  let small: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    if (part.length > 0) small.push(part);
    bytes += part.length;
    if (bytes < PART_BYTES_MIN) continue;
    // A large part is not copied: it is sent after the bytes before it.
    if (part.length === bytes) yield part;
    else if (part.length >= PART_BYTES_MIN / 2) {
      small.pop();
      yield Buffer.concat(small);
      yield part;
    } else yield Buffer.concat(small);
    small = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(small);
}
