// The frames of a batch, read back as a reader would find them. Under `verify.all`, before they are written.

import { crc32c, invariant, type LogIndex } from '../base/index.ts';
import { raftpb, walpb } from '../protocol/index.ts';
import { FRAME_ALIGNMENT, LENGTH_WORD_SIZE } from './limits.ts';
import { RECORD_TYPES } from './record-types.ts';

/** What a batch is checked against. */
interface FrameBounds {
  /** Running checksum before the first frame, and after the last. */
  readonly crcBefore: number;
  readonly crcAfter: number;
  /** Index of the newest entry or snapshot after the last frame. */
  readonly lastIndex: LogIndex;
}

/** Checks lengths, padding, the chain of checksums, and that entries follow one another. */
export function verifyFrames(bytes: Uint8Array, bounds: FrameBounds): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let crc = bounds.crcBefore;
  let lastIndex = 0;
  let at = 0;
  while (at < bytes.length) {
    invariant(at + LENGTH_WORD_SIZE < bytes.length, 'wal: a frame has a length word and a record');
    const size = view.getUint32(at, true);
    const top = view.getUint32(at + 4, true) >>> 24;
    const padding = top & 7;
    invariant(
      (size + padding) % FRAME_ALIGNMENT === 0,
      'wal: a frame is padded to a multiple of 8',
    );
    invariant(top === (padding === 0 ? 0 : 0x80 | padding), 'wal: a length word says its padding');
    const start = at + LENGTH_WORD_SIZE;
    at = start + size + padding;
    invariant(at <= bytes.length, 'wal: a frame ends where the next one begins');
    const record = walpb.RecordCodec.decode(bytes, start, start + size);
    const data = record.data ?? new Uint8Array(0);
    crc = crc32c(crc, data);
    invariant(record.crc === crc, 'wal: a record has the checksum of all data before it');
    if (record.type !== RECORD_TYPES.ENTRY) continue;
    const { index } = raftpb.EntryCodec.decode(data);
    invariant(
      lastIndex === 0 || index <= lastIndex + 1,
      'wal: an entry follows the one before, or replaces a tail',
    );
    lastIndex = index;
  }
  invariant(crc === bounds.crcAfter, 'wal: the checksum goes on from the last record');
  invariant(lastIndex <= bounds.lastIndex, 'wal: no entry is behind the last index');
}
