// The bounds of this folder.

/** A lock that another process has is tried again after so long; etcd's tools do the same. */
export const LOCK_RETRY_MS = 50;

/** Files are read in blocks of so many bytes. */
export const READ_BLOCK_BYTES = 1024 * 1024;
