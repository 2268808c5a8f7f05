// The five kinds of record.

export const RECORD_TYPES = {
  /** The caller's bytes; the second record of each segment, equal in all of them. */
  METADATA: 1,
  /** raftpb.Entry */
  ENTRY: 2,
  /** raftpb.HardState */
  STATE: 3,
  /** No data; its checksum field continues the chain. The first record of each segment. */
  CRC: 4,
  /** walpb.Snapshot */
  SNAPSHOT: 5,
} as const;

export type RecordType = (typeof RECORD_TYPES)[keyof typeof RECORD_TYPES];
