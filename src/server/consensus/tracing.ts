// What distributed tracing is told of proposals and of the log.

import type { Message } from '../../raft/index.ts';
import type { Proposal } from './proposals.ts';

/** Follows proposals from their making to their result. */
export interface ProposalTracing {
  /** Puts something around a proposal that is about to wait under this id. */
  follow(idLow: number, proposal: Proposal): Proposal;
}

/** Follows appends to the log. */
export interface AppendTracing {
  /** The log gets an append with this sequence. */
  appendBegan(sequence: number, entries: Message['entries']): void;
  /** It is durable, and so are all before it. */
  appendEnded(sequence: number): void;
}
