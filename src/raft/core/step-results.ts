/**
 * What a step came to. Each is an ordinary outcome for the caller to act on, not a failure of raft;
 * the values are etcd's error texts.
 */
export const STEP_RESULTS = {
  OK: 'ok',
  /** No leader, a leadership transfer under way, or too much uncommitted: propose again later. */
  PROPOSAL_DROPPED: 'raft proposal dropped',
  /** The message is of a kind that only a node sends to itself; nothing was done. */
  LOCAL_MESSAGE: 'raft: cannot step raft local message',
  /** A response from a node outside the configuration; nothing was done. */
  PEER_NOT_FOUND: 'raft: cannot step as peer not found',
  /** The message contradicts itself; nothing was done. */
  MALFORMED: 'raft: malformed message',
  /** The storage failed, now or before: see `RawNode.failure`. */
  STORAGE_FAILED: 'raft: storage failed',
} as const;

/** One of {@link STEP_RESULTS}. */
export type StepResult = (typeof STEP_RESULTS)[keyof typeof STEP_RESULTS];
