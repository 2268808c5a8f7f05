// Reports of the storage threads: what is written and what is applied.

import { invariant } from '../../base/index.ts';
import { entriesSize, isEmptySnapshot, payloadsSize } from '../log/index.ts';
import type { Message } from '../raftpb.ts';
import { appliedSnapshot, appliedTo } from './commit.ts';
import { reduceUncommittedSize } from './proposal.ts';
import type { Raft } from './raft.ts';

/** Entries up to (index, logTerm), and possibly a snapshot, are on disk. */
export function onAppendStored(raft: Raft, response: Message): void {
  invariant(response.term === raft.term, 'entries count as stable in the term of their write');
  if (response.index !== 0) raft.log.unstable.stableTo(response.index, response.logTerm);
  const { snapshot } = response;
  if (snapshot !== undefined && !isEmptySnapshot(snapshot)) appliedSnapshot(raft, snapshot);
}

/**
 * The same from an earlier term. Its entries may since have been replaced by others that are still
 * being written, so they do not count as stable; see storage-messages.ts. A snapshot is committed
 * state and counts in any term.
 */
export function onAppendStoredInEarlierTerm(raft: Raft, response: Message): void {
  if (response.index !== 0) {
    raft.info(
      () =>
        `${raft.name} [term: ${raft.term}] ignored entry appends from a MsgStorageAppendResp ` +
        `message with lower term [term: ${response.term}]`,
    );
  }
  const { snapshot } = response;
  if (snapshot !== undefined && !isEmptySnapshot(snapshot)) appliedSnapshot(raft, snapshot);
}

/** The entries that the message carries are applied. */
export function onApplied(raft: Raft, response: Message): void {
  const { entries } = response;
  if (entries.length === 0) return;
  appliedTo(raft, entries[entries.length - 1]!.index, entriesSize(entries));
  reduceUncommittedSize(raft, payloadsSize(entries));
}
