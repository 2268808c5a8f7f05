// Reads the segments of a log in order, into metadata, hard state, entries and snapshots. The checks
// here are on the sequence of records, those on a single record are in `segment-reader.ts`.
//
// Stricter than etcd, which skips what it does not know: a record with a field of unknown number is
// refused, and so are a segment that does not begin with checksum and metadata, and terms that go
// back. The checksum does not cover a record's type; these rules notice a type that has changed.

import {
  ERROR_CODES,
  equalBytes,
  fail,
  hasCode,
  invariant,
  type LogIndex,
  TetcdError,
  verify,
} from '../base/index.ts';
import type { DiskFile } from '../env/index.ts';
import { raftpb, walpb } from '../protocol/index.ts';
import { corrupt } from './corrupt.ts';
import { EntryScanner } from './entry-scanner.ts';
import { RECORD_TYPES } from './record-types.ts';
import type { SegmentName } from './segment-name.ts';
import { type Ending, SegmentReader, STEPS } from './segment-reader.ts';
import type { WalPosition } from './types.ts';

/** Numbers of the fields that each kind of data may have, as a bit set. */
const FIELDS_STATE = 0b1110;
const FIELDS_SNAPSHOT = 0b1110;

export interface OpenSegment {
  readonly file: DiskFile;
  readonly path: string;
  readonly name: SegmentName;
}

export class LogReader {
  readonly #start: WalPosition;
  readonly #keepEntries: boolean;

  metadata: Uint8Array | undefined;
  hardState: raftpb.HardState = raftpb.HardStateCodec.create();
  /** After the start, without those that were replaced. */
  readonly entries: raftpb.Entry[] = [];
  /** Every snapshot record, in the order written. */
  readonly snapshots: walpb.Snapshot[] = [];
  /** Index of the newest entry or snapshot. */
  lastIndex: LogIndex = 0;
  /** Whether the snapshot to start from has its record. */
  startFound = false;
  /** Running checksum. */
  crc = 0;
  /** The last segment that was read, and where its records end. */
  path = '';
  offset = 0;
  /** How the last segment ended. */
  ending: Ending = 'end';
  #recordsInSegment = 0;
  readonly #scanner = new EntryScanner();

  /** Why there is no reading from the start; entries are no longer kept then. No error of the log as such. */
  wrongStart: TetcdError | undefined;

  /** Reads everything after `start`, which counts as found only with the same term. */
  constructor(start: WalPosition, options?: { readonly keepEntries: boolean }) {
    this.#start = start;
    this.#keepEntries = options?.keepEntries ?? true;
  }

  /**
   * The segment, of those that follow the start, with which {@link read} begins: where the last call
   * ended, if there was one. -1 if that one is gone.
   */
  nextOf(segments: readonly { readonly path: string }[]): number {
    return this.path === '' ? 0 : segments.findIndex(({ path }) => path === this.path);
  }

  /** Reads the segments, or what has been appended to them since the last call. Throws CORRUPT. */
  async read(segments: readonly OpenSegment[]): Promise<void> {
    invariant(segments.length > 0, 'a log has a segment');
    const first = this.nextOf(segments);
    invariant(first >= 0, 'a log is read on in a segment of it');
    for (let i = first; i < segments.length; i++) {
      const isLast = i === segments.length - 1;
      await this.readSegment(segments[i]!, { isFirst: i === 0, isLast });
    }
  }

  /**
   * `isFirst`: nothing is known of the segment before. If the last call was for the same segment, reads on
   * where it ended. Throws CORRUPT.
   */
  async readSegment(
    segment: OpenSegment,
    { isFirst, isLast }: { readonly isFirst: boolean; readonly isLast: boolean },
  ): Promise<void> {
    const { file, path, name } = segment;
    if (isFirst) this.lastIndex = Math.max(this.lastIndex, name.firstIndex - 1);
    const reader = new SegmentReader({ file, path, isLast, crc: this.crc });
    if (path === this.path) reader.offset = this.offset;
    else this.#recordsInSegment = 0;
    // Of the first segment read, the initial checksum is known only if it is segment 0.
    const crcKnown = !isFirst || name.sequence === 0;
    for (;;) {
      const step = reader.step();
      if (step === STEPS.RECORD) this.#accept(reader, crcKnown);
      else if (step === STEPS.MORE) await reader.fill();
      else break;
    }
    this.ending = await reader.judge();
    invariant(isLast || this.ending === 'end', 'only the last segment may be torn');
    this.path = path;
    invariant(reader.offset <= file.size(), 'a log ends within its last segment');
    this.offset = reader.offset;
    this.crc = reader.crc;
    if (this.#recordsInSegment < 2) {
      throw corrupt(path, reader.offset, 'the segment has no head (checksum and metadata)');
    }
  }

  #accept(reader: SegmentReader, crcKnown: boolean): void {
    const position = this.#recordsInSegment++;
    const { type } = reader;
    const expected = [RECORD_TYPES.CRC, RECORD_TYPES.METADATA][position];
    if (expected !== undefined && type !== expected) {
      throw this.#corrupt(reader, `expected a record of type ${expected}, found ${type}`);
    }
    switch (type) {
      case RECORD_TYPES.CRC:
        this.#acceptCrc(reader, crcKnown || position > 0);
        return;
      case RECORD_TYPES.METADATA:
        this.#acceptMetadata(reader);
        return;
      case RECORD_TYPES.ENTRY:
        this.#acceptEntry(reader);
        return;
      case RECORD_TYPES.STATE:
        this.#acceptState(reader);
        return;
      case RECORD_TYPES.SNAPSHOT:
        this.#acceptSnapshot(reader);
        return;
      default:
        throw this.#corrupt(reader, `unexpected block type ${type}`);
    }
  }

  #acceptCrc(reader: SegmentReader, crcKnown: boolean): void {
    if (reader.dataEnd > reader.dataStart) {
      throw this.#corrupt(reader, 'a checksum record has data');
    }
    if (crcKnown && reader.storedCrc !== reader.crc) {
      throw this.#corrupt(reader, 'walpb: crc mismatch: the chain of checksums is broken');
    }
    reader.crc = reader.storedCrc;
  }

  #acceptMetadata(reader: SegmentReader): void {
    const metadata = reader.data.slice(reader.dataStart, reader.dataEnd);
    if (this.metadata !== undefined && !equalBytes(metadata, this.metadata)) {
      throw this.#corrupt(reader, 'conflicting metadata found');
    }
    this.metadata = metadata;
  }

  #acceptEntry(reader: SegmentReader): void {
    const scanner = this.#scanner;
    if (!scanner.scan(reader.data, reader.dataStart, reader.dataEnd)) {
      throw this.#corrupt(reader, 'an entry that is malformed or of an unknown kind');
    }
    const { term, index } = scanner;
    if (index === 0 || term === 0) {
      throw this.#corrupt(reader, `an entry with term ${term} and index ${index}`);
    }
    this.lastIndex = index;
    if (!this.#keepEntries || index <= this.#start.index || this.wrongStart !== undefined) return;
    const { entries } = this;
    const position = index - this.#start.index - 1;
    if (position > entries.length) {
      const last = this.#start.index + entries.length;
      const what = `slice bounds out of range: entry ${index} follows ${last}`;
      this.wrongStart = this.#corrupt(reader, what);
      return;
    }
    // The new entry takes the place of an old one and all that followed it.
    if (position < entries.length) entries.length = position;
    const termBefore = position === 0 ? 0 : entries[position - 1]!.term;
    if (term < termBefore) {
      throw this.#corrupt(reader, `entry ${index} has term ${term}, the one before ${termBefore}`);
    }
    entries.push(scanner.entry());
    invariant(entries.length === position + 1, 'entries are kept without a gap');
    if (verify.all) invariant(entries[position]!.index === index, 'an entry is kept at its index');
  }

  #acceptState(reader: SegmentReader): void {
    const state = this.#decode(reader, raftpb.HardStateCodec, FIELDS_STATE);
    if (state.term < this.hardState.term) {
      throw this.#corrupt(reader, `term ${state.term} follows term ${this.hardState.term}`);
    }
    this.hardState = state;
  }

  #acceptSnapshot(reader: SegmentReader): void {
    const snapshot = this.#decode(reader, walpb.SnapshotCodec, FIELDS_SNAPSHOT);
    this.snapshots.push(snapshot);
    this.lastIndex = Math.max(this.lastIndex, snapshot.index);
    if (snapshot.index !== this.#start.index) return;
    if (snapshot.term !== this.#start.term) {
      const terms = `term ${snapshot.term}, wanted ${this.#start.term}`;
      const what = `snapshot mismatch at index ${snapshot.index}: ${terms}`;
      this.wrongStart ??= this.#corrupt(reader, what);
      return;
    }
    this.startFound = true;
  }

  #decode<T>(
    reader: SegmentReader,
    codec: { decode(bytes: Uint8Array, start: number, end: number): T },
    fields: number,
  ): T {
    const { data, dataStart, dataEnd } = reader;
    if (dataStart === dataEnd || !hasOnlyFields(data, dataStart, dataEnd, fields)) {
      throw this.#corrupt(reader, `a record of type ${reader.type} with empty or unknown data`);
    }
    try {
      return codec.decode(data, dataStart, dataEnd);
    } catch (error) {
      if (hasCode(error, ERROR_CODES.MALFORMED) || hasCode(error, ERROR_CODES.NUMBER_TOO_LARGE)) {
        throw this.#corrupt(reader, error.message, error);
      }
      throw error;
    }
  }

  #corrupt(reader: SegmentReader, what: string, cause?: unknown): TetcdError {
    return corrupt(reader.path, reader.recordOffset, what, cause);
  }
}

/**
 * Whether every field of the message is a varint or a length-delimited one with a number in `fields`
 * (bit n for number n, up to 15). True for a message that does not parse: its decoder has a better
 * error.
 */
function hasOnlyFields(bytes: Uint8Array, start: number, end: number, fields: number): boolean {
  let at = start;
  while (at < end) {
    const tag = bytes[at++]!;
    if (tag > 0x7f || (fields & (1 << (tag >> 3))) === 0) return false;
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined || at > end) return true;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) break;
    }
    if ((tag & 7) === 2) at += value;
    else if ((tag & 7) !== 0) return false;
  }
  return true;
}

/** The metadata of a log that was read. */
export function metadataOf(reader: LogReader): Uint8Array {
  return reader.metadata ?? fail('LogReader: a segment was read without its head');
}

/**
 * Throws NOT_FOUND unless the record of the snapshot to start from was found, and CORRUPT if the entries
 * after it are not all there or the log as a whole contradicts itself.
 */
export function assertComplete(reader: LogReader, directory: string, start: WalPosition): void {
  if (reader.wrongStart !== undefined) throw reader.wrongStart;
  if (!reader.startFound) {
    const what = `${directory} has no record of the one at index ${start.index}`;
    throw new TetcdError(ERROR_CODES.NOT_FOUND, `wal: snapshot not found: ${what}`);
  }
  const { commit } = reader.hardState;
  if (commit > reader.lastIndex) {
    const text = `commit ${commit} is beyond the last index ${reader.lastIndex}`;
    throw corrupt(reader.path, reader.offset, text);
  }
  const first = reader.entries[0];
  if (first !== undefined && first.term < start.term) {
    const what = `entry ${first.index} has term ${first.term}, the snapshot before ${start.term}`;
    throw new TetcdError(ERROR_CODES.CORRUPT, `wal: ${directory}: ${what}`);
  }
}
