// Intact records behind the end of a log whose tail is about to be cut off. They are part of the last
// write, some of whose sectors were lost, or they show that the log was damaged.
//
// A record is recognized by its successor, whose checksum continues the checksum field of the record:
// two of them in a row are no coincidence. The very last one, which has no successor, is nearly always
// a hard state: a single one is recognized by its form. Frames begin at multiples of 8, so every such
// offset is tried.

import { equalBytes, invariant, TetcdError } from '../base/index.ts';
import { raftpb } from '../protocol/index.ts';
import { FRAME_ALIGNMENT, LENGTH_WORD_SIZE } from './limits.ts';
import type { OpenSegment } from './log-reader.ts';
import { RECORD_TYPES } from './record-types.ts';
import { SegmentReader, STEPS } from './segment-reader.ts';

interface BehindEnd {
  /** Bytes from the end of the log to the end of the last intact record; 0 if there is none. */
  readonly reach: number;
  /** The largest commit index in hard states there; 0 if there is none. */
  readonly commit: number;
}

/** Searches `segment` from the end of the log on, up to where only zeros follow. */
export async function findBehindEnd(
  segment: OpenSegment,
  end: number,
  zerosFrom: number,
): Promise<BehindEnd> {
  invariant(zerosFrom >= end, 'a log ends before the zeros that follow it');
  const bytes = new Uint8Array(zerosFrom - end);
  await segment.file.read(bytes, end);
  let reach = 0;
  let commit = 0;
  let at = FRAME_ALIGNMENT;
  while (at + LENGTH_WORD_SIZE <= bytes.length) {
    const frame = frameAt(bytes, at);
    const chain =
      frame && (await followChain(segment, end + at, frame, commitIn(bytes, at, frame)));
    if (chain === undefined) {
      at += FRAME_ALIGNMENT;
      continue;
    }
    invariant(chain.end - end > at, 'a record ends behind its beginning');
    at = chain.end - end;
    reach = at;
    commit = Math.max(commit, chain.commit);
  }
  return { reach, commit };
}

interface Frame {
  readonly type: number;
  readonly size: number;
  /** Checksum field of the record: the running checksum after it. */
  readonly crc: number;
  /** Where the fields before the data end. */
  readonly headEnd: number;
}

/** A possible frame, judged by its length word and the first fields of its record. */
function frameAt(bytes: Uint8Array, at: number): Frame | undefined {
  const start = at + LENGTH_WORD_SIZE;
  if (bytes[start] !== 0x08 || bytes[start + 2] !== 0x10) return undefined;
  const type = bytes[start + 1]!;
  if (type < RECORD_TYPES.METADATA || type > RECORD_TYPES.SNAPSHOT) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, LENGTH_WORD_SIZE);
  const recordSize = view.getUint32(0, true);
  const padding = -recordSize & (FRAME_ALIGNMENT - 1);
  const high = padding === 0 ? 0 : ((0x80 | padding) << 24) >>> 0;
  if (view.getUint32(4, true) !== high) return undefined;
  const size = LENGTH_WORD_SIZE + recordSize + padding;
  let crc = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[start + 3 + i] ?? 0;
    crc += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { type, size, crc, headEnd: start + 4 + i };
  }
  return undefined;
}

interface Chain {
  readonly end: number;
  readonly commit: number;
}

/** The records from the frame at `offset` on; undefined if no frame is there. */
async function followChain(
  { file, path }: OpenSegment,
  offset: number,
  frame: Frame,
  lone: number | undefined,
): Promise<Chain | undefined> {
  const start = offset + frame.size;
  if (start > file.size()) return undefined;
  const reader = new SegmentReader({ file, path, isLast: false, crc: frame.crc });
  reader.offset = start;
  let commit = lone ?? 0;
  for (;;) {
    const step = reader.step();
    if (step === STEPS.STOP) break;
    if (step === STEPS.MORE) await reader.fill();
    else if (reader.type === RECORD_TYPES.STATE) {
      const { data, dataStart, dataEnd } = reader;
      commit = Math.max(commit, raftpb.HardStateCodec.decode(data, dataStart, dataEnd).commit);
    }
  }
  return reader.offset > start || lone !== undefined ? { end: reader.offset, commit } : undefined;
}

/** The commit index of a frame that holds a hard state in the form that the log writes; else undefined. */
function commitIn(
  bytes: Uint8Array,
  at: number,
  { type, size, headEnd }: Frame,
): number | undefined {
  if (type !== RECORD_TYPES.STATE || bytes[headEnd] !== 0x1a) return undefined;
  const dataStart = headEnd + 2;
  const dataEnd = dataStart + bytes[headEnd + 1]!;
  const padding = at + size - dataEnd;
  if (dataEnd > bytes.length || padding < 0 || padding >= FRAME_ALIGNMENT) return undefined;
  const data = bytes.subarray(dataStart, dataEnd);
  try {
    const state = raftpb.HardStateCodec.decode(data);
    return equalBytes(raftpb.HardStateCodec.encode(state), data) ? state.commit : undefined;
  } catch (error) {
    if (error instanceof TetcdError) return undefined;
    throw error;
  }
}
