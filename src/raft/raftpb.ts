// Raft's messages and stored structures, by the names used throughout this folder, and how they are
// made here. All are decoded and made with every field present, so that objects of a type share one
// shape.

import { EMPTY_BYTES, type LogIndex, type Term } from '../base/index.ts';
import { raftpb } from '../protocol/index.ts';
import { NONE, type NodeId } from './ids.ts';

/** One entry of the log. Immutable once it is there. */
export type Entry = raftpb.Entry;
/** What nodes send to each other, and to their storage threads. */
export type Message = raftpb.Message;
/** What a node must remember across restarts: term, vote and commit index. */
export type HardState = raftpb.HardState;
/** A configuration (voters and learners), as stored. */
export type ConfState = raftpb.ConfState;
/** The state that replaces the log up to an index. */
export type Snapshot = raftpb.Snapshot;
/** A change of one member, in the older form. */
export type ConfChange = raftpb.ConfChange;
/** One member of a {@link ConfChangeV2}. */
export type ConfChangeSingle = raftpb.ConfChangeSingle;
/** A change of any number of members. */
export type ConfChangeV2 = raftpb.ConfChangeV2;

export const {
  EntryType,
  MessageType,
  ConfChangeType,
  ConfChangeTransition,
  ConfChangeCodec,
  ConfChangeV2Codec,
} = raftpb;

/** Shared by all messages without entries; never appended to. */
export const NO_ENTRIES: Entry[] = [];
/** Shared by all messages without responses; never appended to. */
const NO_RESPONSES: Message[] = [];

/**
 * An entry with its place in the log. Immutable from here on: log, messages and storage share it.
 */
export function newEntry(type: number, term: Term, index: LogIndex, data: Uint8Array): Entry {
  return { type, term, index, data };
}

/** A message with nothing but type and target. */
export function newMessage(type: number, to: NodeId): Message {
  return {
    type,
    to,
    from: NONE,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: NO_ENTRIES,
    commit: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: EMPTY_BYTES,
    vote: NONE,
    responses: NO_RESPONSES,
  };
}
