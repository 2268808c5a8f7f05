// A file whose content stays in memory. Not part of an Env: only a member that is told so has one.

/** Rejects with a TetcdError, which names the file. */
export interface MemoryLock {
  /**
   * Keeps in memory what the file at `path` holds now, whatever was covered before. To be called again when
   * it has grown, or when another file has taken its place; one call at a time.
   */
  cover(path: string): Promise<void>;
  /** Lets go of everything. */
  close(): Promise<void>;
}
