// The gateway for messages from other members: checked here, trusted inside.

import { CONSENSUS_END, ERROR_CODES, TetcdError } from '../../base/index.ts';
import { raftpb } from '../../protocol/index.ts';
import { isLocalMessage } from '../../raft/index.ts';

/** Throws MALFORMED for a message that no correct member sends. */
export function checkMessage(message: raftpb.Message): void {
  if (isLocalMessage(message.type)) malformed(`message type ${message.type} is never sent`);
  if (message.responses.length > 0) malformed('a message carries answers of a storage');
  checkNumbers(message);
  if (message.type === raftpb.MessageType.MsgApp) checkEntries(message);
}

/** Numbers that may become part of a hard state, an entry or a snapshot, here or in a response. */
function checkNumbers(message: raftpb.Message): void {
  checkNumber(message.term, 'term');
  checkNumber(message.logTerm, 'log term');
  checkNumber(message.index, 'index');
  checkNumber(message.commit, 'commit');
  checkNumber(message.rejectHint, 'reject hint');
  const { entries } = message;
  for (let i = 0; i < entries.length; i++) {
    checkNumber(entries[i]!.term, 'term of an entry');
    checkNumber(entries[i]!.index, 'index of an entry');
  }
  const metadata = message.snapshot?.metadata;
  if (metadata === undefined) return;
  checkNumber(metadata.term, 'term of a snapshot');
  checkNumber(metadata.index, 'index of a snapshot');
}

function checkNumber(value: number, what: string): void {
  if (value >= CONSENSUS_END) malformed(`the ${what} is ${value}, not below 2^52`);
}

/** The entries of an append follow its index without a gap. */
function checkEntries(message: raftpb.Message): void {
  const { entries, index } = message;
  for (let i = 0; i < entries.length; i++) {
    if (entries[i]!.index !== index + 1 + i) malformed('the entries of an append have gaps');
  }
}

/** The link heartbeat: no message of raft lacks both sender and receiver. */
export function isLinkHeartbeat(message: raftpb.Message): boolean {
  return (
    message.type === raftpb.MessageType.MsgHeartbeat && message.from === 0n && message.to === 0n
  );
}

function malformed(text: string): never {
  throw new TetcdError(ERROR_CODES.MALFORMED, text);
}
