// Bounds of the lessor, etcd's numbers, and what happens at each.

/** Longest TTL, seconds. Longer: `etcdserver: too large lease TTL`. */
export const LEASE_TTL_SEC_MAX = 9_000_000_000;

/** Leases revoked per second at most; the rest wait for the next check. */
export const LEASE_REVOKES_PER_SEC_MAX = 1000;

/** Expired leases handed out per check, at two checks per second. */
export const EXPIRED_BATCH_MAX: number = LEASE_REVOKES_PER_SEC_MAX / 2;

/** A lease that was handed out as expired is handed out again if it still exists after this. */
export const EXPIRED_RETRY_MS = 3000;

/**
 * Keys per set. V8's sets stall for long when they grow past millions and refuse 16.7 million; sets
 * of this size grow within a millisecond.
 */
export const KEYS_PER_SET_MAX = 4096;

/** A lease whose TTL is above this is checkpointed this often, where checkpoints are on; seconds. */
export const CHECKPOINT_INTERVAL_SEC = 300;

/** Checkpoints proposed in one entry. */
export const CHECKPOINT_BATCH_MAX = 1000;
