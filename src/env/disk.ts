// The disk. Paths are the operating system's. Every failure is a TetcdError: NOT_FOUND,
// ALREADY_EXISTS, LOCKED, DISK_FULL or DISK_FAILED (anything else), with path and operation in its
// text and the platform's error as `cause`.
//
// What survives a crash: file contents written before a completed `sync` of that file; names
// (created, renamed, removed) before a completed `syncDirectory` of their directory. Anything later
// may be there wholly, partly (torn within a write, at 512-byte granularity) or not at all.

/** What has a name on a disk. */
export type FileKind = 'file' | 'directory';

/** Kind, size and permissions of a file or directory. */
export interface FileStat {
  readonly kind: FileKind;
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Permission bits, as in `chmod`. */
  readonly mode: number;
}

/** How a file is opened. */
export const OPEN_MODES = {
  /** Existing file, reading only. */
  READ: 'read',
  /** Existing file, reading and writing. */
  WRITE: 'write',
  /** New file, reading and writing; ALREADY_EXISTS if the name is taken. */
  CREATE: 'create',
  /** Reading and writing; created if missing, contents kept if not. */
  OPEN_OR_CREATE: 'openOrCreate',
} as const;

/** One of {@link OPEN_MODES}. */
export type OpenMode = (typeof OPEN_MODES)[keyof typeof OPEN_MODES];

/** Files and directories; see the head of this file for errors and for what survives a crash. */
export interface Disk {
  /** New files get `permissions` (default 0o600). */
  open(path: string, mode: OpenMode, permissions?: number): Promise<DiskFile>;
  /** Undefined if nothing has that name. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Names (not paths) in the directory, sorted by their bytes. */
  list(directory: string): Promise<string[]>;
  /** Creates the directory and its missing parents, each with `permissions` (default 0o700). */
  makeDirectory(path: string, permissions?: number): Promise<void>;
  /** Atomically gives `from` the name `to`, replacing a file that had it. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. NOT_FOUND if it is missing. */
  remove(path: string): Promise<void>;
  /** Removes a file or a directory with everything below; nothing happens if it is missing. */
  removeTree(path: string): Promise<void>;
  /** Makes the names in the directory durable. Where a platform cannot, it does nothing. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that files in the directory may still take; Infinity where nothing bounds them. */
  freeBytes(directory: string): Promise<number>;
  /**
   * Takes the exclusive lock of the directory, which goes along when that is renamed. Rejects with LOCKED
   * at once if another holder has it, with NOT_FOUND if nothing has that name. Released by its holder and
   * by the end of the process.
   */
  lockDirectory(path: string): Promise<DirectoryLock>;
  /** Openers that the locks taken so far do not exclude, and why; undefined if they exclude all. */
  readonly lockGap?: string | undefined;
}

/** The lock of a directory; {@link DiskFile.lock} takes it. */
export interface DirectoryLock {
  /**
   * Whether it stands for locks of the files in the directory. False where it cannot: then it excludes
   * nobody, and each file takes a lock of its own.
   */
  readonly coversFiles: boolean;
  release(): Promise<void>;
}

/** An open file. One owner; reads may overlap writes of other ranges. */
export interface DiskFile {
  /** The name that it was opened with, or got from {@link rename}. */
  readonly path: string;
  /** Current size in bytes, read from the file system. */
  size(): number;
  /** Whether a name leads to it, its own or another: false once it was removed or replaced. */
  isNamed(): boolean;
  /**
   * Fills `target` from `position`; returns the bytes read, fewer only at the end of the file.
   * For pages that the operating system has cached (a 4 KiB read takes about 1 us).
   */
  readSync(target: Uint8Array, position: number): number;
  /** As `readSync`, off the event loop: for large or cold reads. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of `bytes` into the operating system's cache in this turn: for short writes. */
  writeSync(bytes: Uint8Array, position: number): void;
  /** Writes all `chunks`, in order, at `position`; the caller leaves them alone until it resolves. */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /** Content and size durable (`fdatasync`). After a failure what the disk holds is unknown. */
  sync(): Promise<void>;
  /**
   * As {@link sync}, in this turn, which waits for the disk: true if it was done. False, with nothing done,
   * if it might take long, by what the last syncs of this file took. Throws as `sync` rejects.
   */
  maybeSyncNow(): boolean;
  /** Sets the size; new bytes read as zeros. */
  truncate(size: number): Promise<void>;
  /** Really writes zeros over [from, to), so that later writes there cannot meet a full disk. */
  zeroFill(from: number, to: number): Promise<void>;
  /**
   * Takes the exclusive lock that real etcd takes too (flock). Rejects with LOCKED at once if
   * another holder has it; released by `close` and by the end of the process. `directory`, the lock of the
   * file's directory, is taken instead where it covers files: then LOCKED tells only of a holder that has
   * locked the file itself.
   */
  lock(directory?: DirectoryLock): Promise<void>;
  /**
   * Gives the file the name `to`, as `Disk.rename` does. A lock goes along: at every moment the file is
   * locked under the name that it has.
   */
  rename(to: string): Promise<void>;
  /**
   * Gives the file a second name. ALREADY_EXISTS if it is taken; DISK_FAILED where a file cannot have two
   * names, or its lock does not cover both.
   */
  link(name: string): Promise<void>;
  /** `path` is from now on this name, which leads to the file too: the other one is gone, or will be. */
  goBy(name: string): void;
  close(): Promise<void>;
}
