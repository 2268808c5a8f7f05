// The settings of a raw node.

import { COUNT_MAX, ERROR_CODES, type LogIndex, type Random, TetcdError } from '../base/index.ts';
import { isLocalTarget, NONE, type NodeId } from './ids.ts';
import type { Storage } from './log/index.ts';
import { type RaftLogger, SILENT_LOGGER } from './logger.ts';

/** How a leader confirms its leadership before it answers a read. */
export const READ_ONLY_MODES = {
  /** A quorum confirms the leader's leadership for every round of reads. */
  SAFE: 'safe',
  /**
   * The leader relies on its lease, with no message sent. Wrong answers are possible if clocks
   * drift without bound; needs `checkQuorum`.
   */
  LEASE_BASED: 'lease-based',
} as const;

/** One of {@link READ_ONLY_MODES}. */
export type ReadOnlyMode = (typeof READ_ONLY_MODES)[keyof typeof READ_ONLY_MODES];

/** The settings of a node. Times are in ticks, sizes in bytes. */
export interface Config {
  /** Not 0 and not a local thread. */
  readonly id: NodeId;
  /**
   * Ticks without a message from a leader after which a follower campaigns; the real number is drawn
   * between this and twice this. More than `heartbeatTicks`, ten times it as a rule.
   */
  readonly electionTicks: number;
  /** Ticks between heartbeats of a leader. At least 1. */
  readonly heartbeatTicks: number;
  /** What is on disk; see {@link Storage}. */
  readonly storage: Storage;
  /** Draws election timeouts. */
  readonly random: Random;
  /**
   * Last applied index. Only when restarting: entries up to here are not handed out again. Default:
   * where the storage begins.
   */
  readonly applied?: LogIndex;
  /**
   * The shell writes and applies by messages to LOCAL_APPEND_THREAD and LOCAL_APPLY_THREAD and
   * delivers the responses that they carry, instead of calling `advance`. Messages to one thread
   * must be processed in order, none lost. Default false.
   */
  readonly asyncStorageWrites?: boolean;
  /**
   * Bytes of entries in one append message. Infinity for no limit; at 0 one entry per message,
   * as a message always takes at least one.
   */
  readonly messageBytesMax: number;
  /**
   * Bytes of committed entries handed out and not reported applied; at least one entry always goes.
   * At the bound, none is handed out until some are reported. Default: `messageBytesMax`.
   */
  readonly applyingBytesMax?: number;
  /**
   * Payload bytes that a leader holds and has not committed. At the bound proposals are dropped
   * (one is always taken when there are none). Default: no limit.
   */
  readonly uncommittedBytesMax?: number;
  /** Appends under way to one follower. At the bound sending waits for acknowledgements. */
  readonly inflightMessagesMax: number;
  /** The same in bytes, not less than `messageBytesMax`. Default: no limit. */
  readonly inflightBytesMax?: number;
  /**
   * A leader that has not heard from a quorum for an election timeout steps down. Default false.
   */
  readonly checkQuorum?: boolean;
  /** Ask for votes without raising the term first (thesis, section 9.6). Default false. */
  readonly preVote?: boolean;
  readonly readOnlyMode?: ReadOnlyMode;
  readonly logger?: RaftLogger;
  /** Followers drop proposals instead of sending them on to the leader. Default false. */
  readonly disableProposalForwarding?: boolean;
  /**
   * Accept membership changes that look invalid when proposed. Only for a shell that serialises
   * and checks them itself: one that is invalid when applied stops the member. Default false.
   */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that was removed or demoted steps down when it applies that. Default false. */
  readonly stepDownOnRemoval?: boolean;
  /**
   * A leader sends what was proposed when the next Ready is taken, all in as few messages as
   * possible, instead of one message per proposal and follower; and a commit index with the next
   * entries, or when `sendCommit` is called, instead of immediately. Default false, as in etcd.
   */
  readonly deferAppends?: boolean;
}

/** `Config` with nothing left open. */
export type ResolvedConfig = Required<Config>;

/** Fills in the defaults. INVALID_ARGUMENT, in etcd's words, if a setting makes no sense. */
export function resolveConfig(config: Config): ResolvedConfig {
  const resolved: ResolvedConfig = {
    applied: 0,
    asyncStorageWrites: false,
    checkQuorum: false,
    preVote: false,
    readOnlyMode: READ_ONLY_MODES.SAFE,
    logger: SILENT_LOGGER,
    disableProposalForwarding: false,
    disableConfChangeValidation: false,
    stepDownOnRemoval: false,
    deferAppends: false,
    inflightBytesMax: Number.POSITIVE_INFINITY,
    ...config,
    // As in etcd, 0 means "like the other limit" here and "none" there.
    applyingBytesMax: Math.max(config.applyingBytesMax || config.messageBytesMax, 1),
    uncommittedBytesMax: config.uncommittedBytesMax || Number.POSITIVE_INFINITY,
  };
  const flaw = flawOf(resolved);
  if (flaw !== undefined) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, flaw);
  return resolved;
}

function flawOf(config: ResolvedConfig): string | undefined {
  if (config.id === NONE) return 'cannot use none as id';
  if (isLocalTarget(config.id)) return 'cannot use local target as id';
  if (config.heartbeatTicks <= 0) return 'heartbeat tick must be greater than 0';
  if (config.electionTicks <= config.heartbeatTicks) {
    return 'election tick must be greater than heartbeat tick';
  }
  if (config.inflightMessagesMax <= 0) return 'max inflight messages must be greater than 0';
  if (config.inflightBytesMax < config.messageBytesMax) {
    return 'max inflight bytes must be >= max message size';
  }
  if (config.readOnlyMode === READ_ONLY_MODES.LEASE_BASED && !config.checkQuorum) {
    return 'CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased';
  }
  if (config.applied < 0 || config.applied > COUNT_MAX) return 'applied index is out of range';
  return undefined;
}
