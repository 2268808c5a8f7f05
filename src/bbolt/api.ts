// The interface of a bbolt file for other folders. The classes behind it stay in this folder.
//
// Bytes: `put` and friends keep references to the caller's key and value until the transaction has
// ended, so the caller leaves them unchanged until then. `get` and cursors hand out views of cached
// pages. A page in memory is never changed and never reused for another page, so a view stays valid
// as long as it is referenced, but it keeps the memory of its page and of pages read with it (up to
// 1 MiB, or the whole overflow run) alive: copy what is to be kept for long. A view is read-only.

/** A position in one bucket, in key order (byte order), both directions. */
export interface Cursor {
  /** Whether the cursor stands on an entry; the fields below describe it, else mean nothing. */
  readonly valid: boolean;
  readonly keyBytes: Uint8Array;
  readonly keyOffset: number;
  readonly keyLength: number;
  readonly valueBytes: Uint8Array;
  readonly valueOffset: number;
  readonly valueLength: number;
  /** Whether the entry is a nested bucket; its value is then its header, not data. */
  readonly isBucket: boolean;
  /** Moves to the smallest key. Like every move it returns `valid`. */
  first(): boolean;
  /** Moves to the largest key. */
  last(): boolean;
  /** Moves to the smallest key that is not below `key`; behind the last entry if there is none. */
  seek(key: Uint8Array): boolean;
  /** Moves to `key` itself; false if it is missing, the position is then that of `seek`. */
  seekExact(key: Uint8Array): boolean;
  /** Moves to the next key; from a new cursor to the first, from the last behind the last. */
  next(): boolean;
  /** Moves to the previous key; from behind the last to the last, from the first before it. */
  prev(): boolean;
  /** A fresh copy of the key. */
  key(): Uint8Array;
  /** A fresh copy of the value. */
  value(): Uint8Array;
}

/**
 * A cursor of a write transaction. It survives any change of its bucket: `next` and `prev` move to
 * the neighbours, at that moment, of the key it stood on, even when that key is gone.
 */
export interface WriteCursor extends Cursor {
  /** Removes the entry the cursor stands on. INVALID_ARGUMENT if it is a nested bucket. */
  delete(): void;
}

/** A bucket as one transaction sees it. Unusable (CLOSED) once the transaction has ended. */
export interface Bucket {
  /** A view of the value; undefined if the key is missing or names a nested bucket. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** A nested bucket; undefined if the name is missing or holds a plain value. */
  bucket(name: Uint8Array): Bucket | undefined;
  cursor(): Cursor;
  /** The bucket's counter, 0 to 2^64-1; `nextSequence` raises it. */
  sequence(): bigint;
}

/** A bucket in a read transaction, and valid as long as that. */
export interface ReadBucket extends Bucket {
  bucket(name: Uint8Array): ReadBucket | undefined;
  /**
   * A cursor for one pass over many entries: what `seekExact` finds outside of the page cache lies
   * in a buffer of the cursor, which its next move overwrites, and is not cached.
   */
  passingCursor(): Cursor;
  /**
   * Loads pages that hold keys in [from, until) into the page cache with large asynchronous reads,
   * at most `bytesMax` of them, so that the synchronous reads that follow find them there. Resolves
   * with the number of bytes loaded.
   */
  prefetch(from: Uint8Array, until: Uint8Array | undefined, bytesMax: number): Promise<number>;
}

/** A bucket in the write transaction, and valid as long as that. */
export interface WriteBucket extends Bucket {
  /** How full `commit` makes pages that it must split, 0.1 to 1; default 0.5, not persisted. */
  fillPercent: number;
  bucket(name: Uint8Array): WriteBucket | undefined;
  cursor(): WriteCursor;
  /**
   * Stores the value. INVALID_ARGUMENT: `key required`, or `incompatible value` if the key is a
   * nested bucket; LIMIT_EXCEEDED: `key too large` (32,768 bytes), `value too large` (2^31-2).
   */
  put(key: Uint8Array, value: Uint8Array): void;
  /** As `put`, with key and value as parts of larger arrays. */
  putSlice(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
  ): void;
  /**
   * As `put`, with the value in pieces, one behind the other; none is copied, if the value is large. They
   * stay as they are until the transaction has ended.
   */
  putPieces(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    pieces: readonly Uint8Array[],
  ): void;
  /** Removes the key if it is there. INVALID_ARGUMENT `incompatible value` for a nested bucket. */
  delete(key: Uint8Array): void;
  /** ALREADY_EXISTS `bucket already exists`; INVALID_ARGUMENT as for `put`. */
  createBucket(name: Uint8Array): WriteBucket;
  createBucketIfNotExists(name: Uint8Array): WriteBucket;
  /** With everything in it. NOT_FOUND `bucket not found`; INVALID_ARGUMENT for a plain value. */
  deleteBucket(name: Uint8Array): void;
  nextSequence(): bigint;
  setSequence(value: bigint): void;
}

/** Receives entries in key order. */
export interface EntryVisitor {
  /**
   * One entry that is not a nested bucket: the key and the value lie in `bytes`, which belong to the
   * visitor during the call only. Returns false to end the calls.
   */
  entry(
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    valueOffset: number,
    valueLength: number,
  ): boolean;
}

/** An {@link EntryVisitor} for one bucket of the top level, called while the file is opened. */
export interface BucketVisitor extends EntryVisitor {
  readonly bucket: Uint8Array;
}

/** A snapshot: the content as of the last commit before `beginRead`. */
export interface ReadTransaction {
  /** Number of the commit it shows. */
  readonly txid: number;
  /** Bytes of the database up to its high-water mark, at that commit. */
  readonly size: number;
  /** A bucket of the top level. */
  bucket(name: Uint8Array): ReadBucket | undefined;
  /** Over the names of the top-level buckets. */
  cursor(): Cursor;
  /** File and page of a row in a top-level bucket, for messages. */
  placeOf(bucket: Uint8Array, key: Uint8Array): string;
  /**
   * Visits a top-level bucket in key order from key `from` on, with large asynchronous reads past
   * the page cache and in slices. Nothing is visited if the bucket is missing.
   */
  walk(bucket: Uint8Array, visitor: EntryVisitor, from?: Uint8Array): Promise<void>;
  /**
   * Writes this commit as a complete database file of `size` bytes, while later commits go on. `close`
   * may be called before it resolves. `write` owns the chunk (at most 1 MiB) until its promise resolves.
   */
  copyTo(write: (chunk: Uint8Array) => Promise<void>): Promise<CopyResult>;
  /**
   * The same bytes as {@link copyTo}, pulled: chunks of at most 1 MiB, each valid until the next one is
   * requested. CLOSED once the transaction or the database is closed.
   */
  chunks(): AsyncIterable<Uint8Array>;
  /** A second transaction on the same commit, for work that may outlive this one. */
  fork(): ReadTransaction;
  /** Unpins the snapshot. Safe to call again. */
  close(): void;
}

/** Changes that become durable together, by `commit`, or not at all. */
export interface WriteTransaction {
  /** Number that the commit will have. */
  readonly txid: number;
  bucket(name: Uint8Array): WriteBucket | undefined;
  cursor(): Cursor;
  createBucket(name: Uint8Array): WriteBucket;
  createBucketIfNotExists(name: Uint8Array): WriteBucket;
  deleteBucket(name: Uint8Array): void;
  /**
   * Makes the changes durable, then visible to new read transactions. The work is sliced and never
   * blocks readers. After DISK_FULL nothing has changed and the database stays usable; after any other
   * failure what the disk holds is unknown and the database takes no more writes.
   */
  commit(): Promise<CommitResult>;
  /** Drops the changes. Safe to call again, and after a failed commit. */
  rollback(): void;
}

/** Result of a commit: its transaction id and the amount written. */
export interface CommitResult {
  readonly txid: number;
  /** Pages written, the meta page not counted; 0 if the transaction changed nothing. */
  readonly pagesWritten: number;
  readonly times: CommitTimes;
}

/**
 * Parts of a commit's time, as in bbolt's statistics: merging what deletions left small, building pages,
 * writing and syncing them. Other work of the event loop in between is included.
 */
export interface CommitTimes {
  readonly rebalanceMs: number;
  readonly spillMs: number;
  readonly writeMs: number;
}

/** Result of a copy of the database: the transaction it is as of, and its size. */
export interface CopyResult {
  /** The commit that the copy holds. */
  readonly txid: number;
  /** Bytes handed to `write`. */
  readonly size: number;
}

/** An inconsistency found by a check of the database. */
export interface Violation {
  /** Page on which it was found. */
  readonly page: number;
  readonly text: string;
}

/** Current numbers of pages, readers and the cache. */
export interface DatabaseStatistics {
  readonly pageSize: number;
  /** Pages that the next commits may use. */
  readonly freePages: number;
  /** Freed pages that a reader or an older meta page may still reach. */
  readonly pendingPages: number;
  readonly openReaders: number;
  readonly cachedBytes: number;
  readonly cachedPages: number;
  readonly cacheMisses: number;
}

/** How a database is opened. Sizes are in bytes. */
export interface DatabaseOptions {
  /** Neither creates, locks nor writes; the caller makes sure that there is no other writer. */
  readonly readOnly?: boolean;
  /** The file is not created where it is missing or empty: NOT_FOUND, or CORRUPT. */
  readonly mustExist?: boolean;
  /** Of a new file: 512 to 65536, a power of two; default 4096. A file's own wins. */
  readonly pageSize?: number;
  /** Bound of the page cache; default 64 MiB. */
  readonly pageCacheBytes?: number;
  /** Whether commits leave out the list of free pages, as etcd does; default true. */
  readonly noFreelistSync?: boolean;
  /** Whether commits are not synced: fast, and unsafe against a crash of the machine. */
  readonly noSync?: boolean;
  /** Permission bits of a new file; default 0o600. */
  readonly permissions?: number;
  /** The file at that path, locked already; it belongs to the database then, even if opening fails. */
  readonly spare?: SpareFile | undefined;
  /**
   * Called once with the state on disk before `openDatabase` resolves. The buckets for which it
   * returns visitors are then visited in the same scan that finds the free pages. The snapshot is
   * closed by `openDatabase`.
   */
  readonly visit?: (snapshot: ReadTransaction) => readonly BucketVisitor[];
}

/** An open database file, until `close`. One writer at a time, any number of readers beside it. */
export interface Database {
  readonly path: string;
  readonly pageSize: number;
  readonly readOnly: boolean;
  /** Bytes up to the high-water mark of the last commit: what etcd reports as the size. */
  size(): number;
  /** `size()` less the free pages. */
  sizeInUse(): number;
  /** Bytes of the file; at least `size()`, since files grow in steps. */
  fileSize(): number;
  statistics(): DatabaseStatistics;
  /** As in the statistics: synchronous reads of pages that the cache did not have. */
  readonly cacheMisses: number;
  /** Drops the cached pages: those that are needed are read again. */
  dropCache(): void;
  /** LIMIT_EXCEEDED if too many snapshots are pinned; CLOSED after `close`. */
  beginRead(): ReadTransaction;
  /** Waits for the writer before it; LIMIT_EXCEEDED if too many wait; CLOSED after `close`. */
  beginWrite(): Promise<WriteTransaction>;
  /** As `ReadTransaction.copyTo`, of the last commit. */
  copyTo(write: (chunk: Uint8Array) => Promise<void>): Promise<CopyResult>;
  /** Copies the content into `target`; INVALID_ARGUMENT if that holds a bucket already. */
  compactInto(target: Database, options?: CompactionOptions): Promise<void>;
  /**
   * Renames the file to `to`, replacing a file of that name; durable when this resolves. Reads and
   * writes go on.
   */
  rename(to: string): Promise<void>;
  /** Every violation in the last commit, up to a limit; empty for a sound database. */
  check(): Promise<readonly Violation[]>;
  /** Resolves when no more than `count` read transactions are open. */
  whenReadersAtMost(count: number): Promise<void>;
  /** Waits for the writer, then closes the file. Open snapshots get CLOSED when they need a page. */
  close(): Promise<void>;
  /** Gives the file a second name; as `DiskFile.link`. */
  link(name: string): Promise<void>;
  /**
   * As `close`; but the space of a file that has lost its name, which the caller has made durable, is
   * given back in steps before that, so that the syncs of other files wait little. `close` ends it early.
   *
   * With `keepAs`, the name that {@link link} has given it, it stays open and locked, and is returned once
   * it is empty. If `close` came first, that name is removed, and it resolves to undefined.
   */
  discard(keepAs?: string): Promise<SpareFile | undefined>;
}

/** An empty file that is open and locked, to become a database. */
export interface SpareFile {
  readonly path: string;
  /** Removes and closes it; once, and not after it was passed to `openDatabase`. */
  remove(): Promise<void>;
}

/** How the content of a database is copied into another one. */
export interface CompactionOptions {
  /**
   * What is copied, by default the last commit: a transaction of this database, which may be closed
   * before the copy is finished.
   */
  readonly commit?: ReadTransaction;
  /**
   * After each block of the copy, the disk is left to others for so many times as long as the block has
   * taken. Default 0.
   */
  readonly restFactor?: number;
}
