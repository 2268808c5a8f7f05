// How states and messages print themselves: in a fixed order, in etcd's form, for logs and
// transcripts.

import { goQuote, utf8FromBytes } from '../base/index.ts';
import { type AnyConfChange, asV2, decodeConfChange, describeChanges } from './confchange/index.ts';
import type { SoftState } from './core/raft.ts';
import { hexId, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NONE, type NodeId } from './ids.ts';
import { isEmptySnapshot } from './log/snapshot.ts';
import {
  ConfChangeTransition,
  ConfChangeType,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
  type Snapshot,
} from './raftpb.ts';
import type { ReadState } from './read-only.ts';
import type { Ready } from './ready.ts';

/** Prints an entry's data; the default quotes it. */
type DataFormatter = (data: Uint8Array) => string;

/** Maps the numbers of an enum back to their names. */
function namesOf(values: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(values).map(([name, number]) => [number, name]));
}

const MESSAGE_TYPE_NAMES = namesOf(MessageType);
const ENTRY_TYPE_NAMES = namesOf(EntryType);
const TRANSITION_NAMES = namesOf(ConfChangeTransition);
const CHANGE_TYPE_NAMES = namesOf(ConfChangeType);

/** Such as `MsgApp`; the number of a type that is not known. */
export function describeMessageType(type: number): string {
  return MESSAGE_TYPE_NAMES.get(type) ?? String(type);
}

/** Such as `Term:2 Vote:1 Commit:11`. */
export function describeHardState(state: HardState): string {
  const vote = state.vote === NONE ? '' : ` Vote:${state.vote}`;
  return `Term:${state.term}${vote} Commit:${state.commit}`;
}

/** Such as `Lead:1 State:StateLeader`. */
function describeSoftState(state: SoftState): string {
  return `Lead:${state.lead} State:${state.role}`;
}

/** Such as `Voters:[1 2] VotersOutgoing:[] Learners:[] LearnersNext:[] AutoLeave:false`. */
export function describeConfState(state: ConfState): string {
  const list = (ids: readonly NodeId[]): string => `[${ids.join(' ')}]`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} ` +
    `Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} ` +
    `AutoLeave:${state.autoLeave}`
  );
}

/** Such as `Index:11 Term:1 ConfState:Voters:[1] ...`. */
function describeSnapshot(snapshot: Snapshot): string {
  const { index = 0, term = 0, confState } = snapshot.metadata ?? {};
  const state = confState ?? {
    voters: [],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  return `Index:${index} Term:${term} ConfState:${describeConfState(state)}`;
}

/** Such as `transition:ConfChangeTransitionAuto changes:{type:ConfChangeAddNode node_id:2}`. */
export function describeConfChange(change: AnyConfChange): string {
  const { transition, changes, context } = asV2(change);
  let text = `transition:${TRANSITION_NAMES.get(transition) ?? transition}`;
  for (const { type, nodeId } of changes) {
    text += ` changes:{type:${CHANGE_TYPE_NAMES.get(type) ?? type} node_id:${nodeId}}`;
  }
  if (context.length > 0) text += ` context:${goQuote(context)}`;
  return text;
}

/** Such as `1/11 EntryNormal "foo"` (term, index, type, data). */
export function describeEntry(entry: Entry, format: DataFormatter = goQuote): string {
  const type = ENTRY_TYPE_NAMES.get(entry.type) ?? String(entry.type);
  const data = describeEntryData(entry, format);
  return `${entry.term}/${entry.index} ${type}${data === '' ? '' : ` ${data}`}`;
}

/** One line per entry. */
export function describeEntries(entries: readonly Entry[], format?: DataFormatter): string {
  return entries.map((entry) => `${describeEntry(entry, format)}\n`).join('');
}

/** Such as `1->2 MsgApp Term:1 Log:1/10 Commit:10 Entries:[1/11 EntryNormal ""]`. */
export function describeMessage(message: Message, format?: DataFormatter): string {
  return describeIndented(message, format, '');
}

/** Several lines: what changed, what to write, what to apply, what to send. */
export function describeReady(ready: Ready, format?: DataFormatter): string {
  let text = '';
  if (ready.softState !== undefined) text += `${describeSoftState(ready.softState)}\n`;
  if (ready.hardState !== undefined) {
    text += `HardState ${describeHardState(ready.hardState)}\n`;
  }
  if (ready.readStates.length > 0) {
    text += `ReadStates [${ready.readStates.map(describeReadState).join(' ')}]\n`;
  }
  if (ready.entries.length > 0) text += `Entries:\n${describeEntries(ready.entries, format)}`;
  if (ready.snapshot !== undefined) text += `Snapshot ${describeSnapshot(ready.snapshot)}\n`;
  if (ready.committedEntries.length > 0) {
    text += `CommittedEntries:\n${describeEntries(ready.committedEntries, format)}`;
  }
  if (ready.messages.length > 0) {
    text += 'Messages:\n';
    for (const message of ready.messages) text += `${describeMessage(message, format)}\n`;
  }
  return text === '' ? '<empty Ready>' : `Ready MustSync=${ready.mustSync}:\n${text}`;
}

function describeReadState(state: ReadState): string {
  return `{${state.index} [${state.context.join(' ')}]}`;
}

function describeTarget(id: NodeId): string {
  switch (id) {
    case NONE:
      return 'None';
    case LOCAL_APPEND_THREAD:
      return 'AppendThread';
    case LOCAL_APPLY_THREAD:
      return 'ApplyThread';
    default:
      return hexId(id);
  }
}

function describeIndented(
  message: Message,
  format: DataFormatter | undefined,
  indent: string,
): string {
  const { entries, snapshot, responses } = message;
  let text =
    `${indent}${describeTarget(message.from)}->${describeTarget(message.to)} ` +
    `${describeMessageType(message.type)} Term:${message.term} ` +
    `Log:${message.logTerm}/${message.index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== NONE) text += ` Vote:${message.vote}`;
  if (entries.length === 1) {
    text += ` Entries:[${describeEntry(entries[0]!, format)}]`;
  } else if (entries.length > 1) {
    text += ' Entries:[';
    for (const entry of entries) text += `\n${indent}  ${describeEntry(entry, format)}`;
    text += `\n${indent}]`;
  }
  if (snapshot !== undefined && !isEmptySnapshot(snapshot)) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  }
  if (responses.length > 0) {
    text += ' Responses:[';
    for (const response of responses) {
      text += `\n${describeIndented(response, format, `${indent}  `)}`;
    }
    text += `\n${indent}]`;
  }
  return text;
}

function describeEntryData(entry: Entry, format: DataFormatter): string {
  if (entry.type === EntryType.EntryNormal) return format(entry.data);
  if (!ENTRY_TYPE_NAMES.has(entry.type)) return '';
  try {
    return describeChanges(asV2(decodeConfChange(entry.type, entry.data)).changes);
  } catch (error) {
    return error instanceof Error ? error.message : utf8FromBytes(entry.data);
  }
}
