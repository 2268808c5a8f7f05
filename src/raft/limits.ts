// Bounds of raft's queues that are not settings. The settings, with what happens at each bound, are
// in config.ts.

/**
 * Read requests that wait for a quorum's confirmation, or for the first commit of a new leader's
 * term, in requests. At the bound a further request is dropped with a log line, and its owner
 * retries, as it does after a lost message. A shell shares one request among all reads of a turn, so
 * that 65,536 of them mean that no quorum has answered for a long time.
 */
export const PENDING_READS_MAX = 65_536;

/** Most members of a group, voters and learners together; more in a stored state is refused. */
export const MEMBERS_MAX = 1_024;
