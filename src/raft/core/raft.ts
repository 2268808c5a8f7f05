// The state of one node and the few primitives that every part of the protocol uses. What the node
// does with a message is in the other files of this folder, one per concern:
//
//   step.ts                     terms, then dispatch by type and role
//   step-leader.ts  step-candidate.ts  step-follower.ts
//   roles.ts  election.ts  tick.ts            who leads
//   proposal.ts  replication.ts  append-response.ts  append-request.ts  commit.ts     the log
//   reads.ts  transfer.ts  membership.ts  snapshot-request.ts  storage-response.ts

import { fail, type LogIndex, type Term } from '../../base/index.ts';
import type { ResolvedConfig } from '../config.ts';
import { hexId, NONE, type NodeId } from '../ids.ts';
import { RaftLog } from '../log/index.ts';
import { LOG_LEVELS, type LogLevel } from '../logger.ts';
import { type HardState, type Message, MessageType, newMessage } from '../raftpb.ts';
import { ReadOnly, type ReadState } from '../read-only.ts';
import { type Progress, Tracker } from '../tracker/index.ts';

/** What a node is to its group. */
export const ROLES = {
  FOLLOWER: 'StateFollower',
  CANDIDATE: 'StateCandidate',
  LEADER: 'StateLeader',
  PRE_CANDIDATE: 'StatePreCandidate',
} as const;

/** One of {@link ROLES}. */
export type Role = (typeof ROLES)[keyof typeof ROLES];

/** The volatile part of the state: useful to a shell, never stored. */
export interface SoftState {
  /** NONE if unknown. */
  readonly lead: NodeId;
  readonly role: Role;
}

export class Raft {
  readonly config: ResolvedConfig;
  readonly id: NodeId;
  /** The id as logs print it. */
  readonly name: string;
  readonly log: RaftLog;
  readonly tracker: Tracker;

  /** Current term; stored. */
  term: Term = 0;
  /** Whom this node voted for in `term`; stored. */
  vote: NodeId = NONE;
  role: Role = ROLES.FOLLOWER;
  /** The leader of `term` as far as known. */
  lead: NodeId = NONE;
  /** This node is a learner in its own configuration. */
  isLearner = false;

  /** To be sent without waiting for the disk, to other nodes only. Drained by each Ready. */
  messages: Message[] = [];
  /**
   * To be sent, or delivered to this node itself, once everything unstable so far is on disk: votes
   * and acknowledgements promise durability (thesis, section 3.8). Drained by each Ready.
   */
  messagesAfterAppend: Message[] = [];
  /** Reads that may be served once their index is applied. Drained by each Ready. */
  readStates: ReadState[] = [];

  /** Whom leadership is being transferred to (thesis, section 3.10). Leader only. */
  leadTransferee: NodeId = NONE;
  /**
   * No membership change may be proposed until this index is applied: at or above the index of the
   * newest change in the log. Leader only.
   */
  pendingConfIndex: LogIndex = 0;
  /** Index of the snapshot that the configuration was last restored from; 0 if it never was. */
  restoredIndex: LogIndex = 0;
  /** Payload bytes in the uncommitted tail; may underestimate. Leader only. */
  uncommittedSize = 0;
  /** Something was appended and will be sent when the next Ready is taken. Leader only. */
  appendsDeferred = false;
  /** The commit index has moved and was not sent: see `RawNode.sendCommit`. Leader only. */
  commitDeferred = false;
  readOnly: ReadOnly;
  /** Reads that wait for the first commit of this leader's term; bounded by PENDING_READS_MAX. */
  pendingReads: Message[] = [];

  /** Ticks since the last election timeout, or since the last message from the leader. */
  electionElapsed = 0;
  /** Ticks since the last heartbeat. Leader only. */
  heartbeatElapsed = 0;
  /** In [electionTicks, 2 * electionTicks); drawn again at every change of role. */
  randomizedElectionTimeout = 0;

  constructor(config: ResolvedConfig) {
    this.config = config;
    this.id = config.id;
    this.name = hexId(config.id);
    this.log = new RaftLog(config.storage, config.logger, config.applyingBytesMax);
    this.tracker = new Tracker({
      inflightCountMax: config.inflightMessagesMax,
      inflightBytesMax: config.inflightBytesMax,
    });
    this.readOnly = new ReadOnly();
  }

  softState(): SoftState {
    return { lead: this.lead, role: this.role };
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** Undefined if this node is not in its own configuration. */
  ownProgress(): Progress | undefined {
    return this.tracker.progress(this.id);
  }

  /**
   * Queues `message`, from this node and of its term unless it says otherwise. Votes and
   * acknowledgements, rejections too, wait for the disk.
   */
  send(message: Message): void {
    if (message.from === NONE) message.from = this.id;
    switch (message.type) {
      case MessageType.MsgVote:
      case MessageType.MsgPreVote:
      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        // Pre-votes are about a future term, so that votes always name theirs.
        if (message.term === 0) fail('term should be set when sending a vote');
        break;
      case MessageType.MsgProp:
      case MessageType.MsgReadIndex:
        // Forwarded to the leader as if made there: without a term.
        break;
      default:
        if (message.term !== 0) fail('term should not be set when sending');
        message.term = this.term;
    }
    switch (message.type) {
      case MessageType.MsgAppResp:
      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        this.messagesAfterAppend.push(message);
        break;
      default:
        if (message.to === this.id) fail('message should not be self-addressed when sending');
        this.messages.push(message);
    }
  }

  /** A new message to `to`, not queued yet. */
  messageTo(to: NodeId, type: number): Message {
    return newMessage(type, to);
  }

  debug(text: () => string): void {
    this.#log(LOG_LEVELS.DEBUG, text);
  }

  info(text: () => string): void {
    this.#log(LOG_LEVELS.INFO, text);
  }

  warn(text: () => string): void {
    this.#log(LOG_LEVELS.WARN, text);
  }

  error(text: () => string): void {
    this.#log(LOG_LEVELS.ERROR, text);
  }

  #log(level: LogLevel, text: () => string): void {
    if (this.config.logger.enabled(level)) this.config.logger.log(level, text());
  }
}
