// Names of segment files: `<sequence>-<index>.wal`, both as 16 hexadecimal digits. The index is the
// one after the last entry (or snapshot) when the segment was begun.
//
//   0000000000000003-00000000000004d2.wal    the fourth segment; it begins with entry 1234

import { COUNT_MAX, ERROR_CODES, invariant, type LogIndex, TetcdError } from '../base/index.ts';

const SEGMENT_SUFFIX = '.wal';

export interface SegmentName {
  readonly name: string;
  readonly sequence: number;
  readonly firstIndex: LogIndex;
}

export function segmentName(sequence: number, firstIndex: LogIndex): string {
  invariant(sequence >= 0 && firstIndex >= 0, 'the numbers in a name are not negative');
  return `${hex16(sequence)}-${hex16(firstIndex)}${SEGMENT_SUFFIX}`;
}

/** 16 hexadecimal digits, as in all of etcd's file names. */
export function hex16(value: number): string {
  invariant(value <= COUNT_MAX, 'a number in a name is exact');
  return value.toString(16).padStart(16, '0');
}

/** Undefined if it is not the name of a segment. Throws NUMBER_TOO_LARGE. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
  if (match === null) return undefined;
  const sequence = Number.parseInt(match[1]!, 16);
  const firstIndex = Number.parseInt(match[2]!, 16);
  if (sequence > COUNT_MAX || firstIndex > COUNT_MAX) {
    throw new TetcdError(
      ERROR_CODES.NUMBER_TOO_LARGE,
      `wal: number too large in file name ${name}`,
    );
  }
  return { name, sequence, firstIndex };
}
