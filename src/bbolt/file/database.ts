// An open database file: its newest commit, the pinned snapshots, and the one writer.

import { ERROR_CODES, invariant, Slices, TetcdError } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import type {
  CompactionOptions,
  CopyResult,
  Database,
  DatabaseStatistics,
  ReadTransaction,
  SpareFile,
  Violation,
  WriteTransaction,
} from '../api.ts';
import { GIVE_BACK_BYTES, GIVE_BACK_REST_FACTOR, WRITERS_WAITING_MAX } from '../limits.ts';
import { Snapshot } from '../read/read-transaction.ts';
import { checkDatabase } from '../tools/check.ts';
import { compactInto } from '../tools/compact.ts';
import { type WriteHost, Writer } from '../write/write-transaction.ts';
import { directoryOf } from './directory-of.ts';
import type { Freelist, PageRuns } from './freelist.ts';
import type { Meta } from './meta.ts';
import type { Pager } from './pager.ts';
import { Readers } from './readers.ts';
import { Rests } from './rests.ts';
import { LockedFile, removeFile } from './spare-file.ts';

/** The parts of `Env` that a database uses. */
export type BboltEnv = Pick<Env, 'clock' | 'timers' | 'disk'>;

interface DatabaseParts {
  readonly env: BboltEnv;
  readonly pager: Pager;
  readonly meta: Meta;
  /** Undefined for a database that is only read. */
  readonly freelist: Freelist | undefined;
  readonly noSync: boolean;
  readonly noFreelistSync: boolean;
}

interface WaitingWriter {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class FileDatabase implements Database, WriteHost {
  readonly pager: Pager;
  readonly noSync: boolean;
  readonly noFreelistSync: boolean;
  readonly metaPage: Uint8Array;
  freelistPages: PageRuns = [];
  readonly #env: BboltEnv;
  /** The newest commit. */
  #meta: Meta;
  readonly #ownFreelist: Freelist | undefined;
  readonly #readers = new Readers();
  #writing = false;
  /** At most WRITERS_WAITING_MAX. */
  readonly #waiting: WaitingWriter[] = [];
  /** The error for all further writers: set by a failed commit, or by `close`. */
  #poisonedBy: TetcdError | undefined;
  #closing: Promise<SpareFile | undefined> | undefined;
  /** It is closed without giving back its space first. */
  #hurries = false;

  constructor(parts: DatabaseParts) {
    invariant(parts.meta.pageSize === parts.pager.pageSize, 'a database has one page size');
    invariant(
      parts.meta.highWater === parts.pager.highWater,
      'pages are read up to the newest state',
    );
    this.#env = parts.env;
    this.pager = parts.pager;
    this.#meta = parts.meta;
    this.#ownFreelist = parts.freelist;
    this.noSync = parts.noSync;
    this.noFreelistSync = parts.noFreelistSync;
    this.metaPage = new Uint8Array(parts.pager.pageSize);
  }

  get path(): string {
    return this.pager.file.path;
  }

  get pageSize(): number {
    return this.pager.pageSize;
  }

  get readOnly(): boolean {
    return this.#ownFreelist === undefined;
  }

  get freelist(): Freelist {
    invariant(this.#ownFreelist !== undefined, 'only a writable database has a free list');
    return this.#ownFreelist;
  }

  size(): number {
    return this.#meta.highWater * this.pager.pageSize;
  }

  sizeInUse(): number {
    const freePages = this.#ownFreelist?.freeCount ?? 0;
    invariant(freePages <= this.#meta.highWater - 2, 'free pages are pages of the file');
    return this.size() - freePages * this.pager.pageSize;
  }

  fileSize(): number {
    this.pager.assertOpen();
    return this.pager.file.size();
  }

  statistics(): DatabaseStatistics {
    const { pager } = this;
    const ownFreelist = this.#ownFreelist;
    return {
      pageSize: pager.pageSize,
      freePages: ownFreelist?.freeCount ?? 0,
      pendingPages: ownFreelist?.pendingCount ?? 0,
      openReaders: this.#readers.count,
      cachedBytes: pager.cache.bytes,
      cachedPages: pager.cache.count,
      cacheMisses: pager.misses,
    };
  }

  get cacheMisses(): number {
    return this.pager.misses;
  }

  dropCache(): void {
    this.pager.cache.clear();
  }

  beginRead(): ReadTransaction {
    return this.snapshot();
  }

  async beginWrite(): Promise<WriteTransaction> {
    return await this.writer();
  }

  async copyTo(write: (chunk: Uint8Array) => Promise<void>): Promise<CopyResult> {
    const snapshot = this.snapshot();
    try {
      return await snapshot.copyTo(write);
    } finally {
      snapshot.close();
    }
  }

  async compactInto(target: Database, options: CompactionOptions = {}): Promise<void> {
    invariant(target instanceof FileDatabase, 'there is one kind of database');
    const { commit, restFactor = 0 } = options;
    const snapshot = commit?.fork() ?? this.snapshot();
    invariant(snapshot instanceof Snapshot, 'there is one kind of transaction');
    try {
      await compactInto(snapshot, target, new Rests(this.#env, restFactor));
    } finally {
      snapshot.close();
    }
  }

  async rename(to: string): Promise<void> {
    this.pager.assertOpen();
    await this.pager.file.rename(to);
    await this.#env.disk.syncDirectory(directoryOf(to));
  }

  async check(): Promise<readonly Violation[]> {
    const snapshot = this.snapshot();
    try {
      return await checkDatabase(this.pager, snapshot.meta, this.#ownFreelist, this.slices());
    } finally {
      snapshot.close();
    }
  }

  whenReadersAtMost(count: number): Promise<void> {
    return this.#readers.whenAtMost(count);
  }

  async close(): Promise<void> {
    this.#hurries = true;
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async link(name: string): Promise<void> {
    this.pager.assertOpen();
    await this.pager.file.link(name);
  }

  discard(keepAs?: string): Promise<SpareFile | undefined> {
    this.#closing ??= this.#close(keepAs);
    return this.#closing;
  }

  async #close(keepAs?: string): Promise<SpareFile | undefined> {
    const closed = new TetcdError(ERROR_CODES.CLOSED, `${this.path}: database not open`);
    this.#poisonedBy = closed;
    for (const { reject } of this.#waiting.splice(0)) reject(closed);
    if (this.#writing) {
      await new Promise<void>((resolve) => {
        this.#waiting.push({ resolve, reject: () => resolve() });
      });
    }
    invariant(this.#waiting.length === 0, 'a database that closes has no writer to come');
    this.pager.closed = true;
    await this.pager.settle();
    this.pager.cache.clear();
    const { file } = this.pager;
    let spare: SpareFile | undefined;
    try {
      if (keepAs !== undefined) file.goBy(keepAs);
      const isUseless = keepAs !== undefined || !file.isNamed();
      if (isUseless && !this.#hurries) await this.#giveBack();
      if (keepAs !== undefined && !this.#hurries) spare = new LockedFile(this.#env.disk, file);
    } finally {
      if (spare === undefined && keepAs !== undefined) await removeFile(this.#env.disk, file);
      else if (spare === undefined) await file.close();
    }
    return spare;
  }

  /** The space of a file that nobody can open any more. */
  async #giveBack(): Promise<void> {
    const { file } = this.pager;
    const rests = new Rests(this.#env, GIVE_BACK_REST_FACTOR);
    for (let size = file.size(); size > 0 && !this.#hurries; ) {
      size = Math.max(0, size - GIVE_BACK_BYTES);
      rests.begin();
      await file.truncate(size);
      if (size === 0) return;
      if (!this.noSync) await file.sync();
      await rests.rest();
    }
  }

  snapshot(): Snapshot {
    this.pager.assertOpen();
    const pin = this.#readers.add(this.#meta.txid);
    return new Snapshot(this.#env, this.pager, this.#meta, this.#readers, pin);
  }

  async writer(): Promise<Writer> {
    this.assertWritable();
    if (this.#writing) {
      if (this.#waiting.length >= WRITERS_WAITING_MAX) {
        throw new TetcdError(
          ERROR_CODES.LIMIT_EXCEEDED,
          `more than ${WRITERS_WAITING_MAX} waiting writers`,
        );
      }
      await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }
    this.#writing = true;
    invariant(
      this.#readers.oldest <= this.#meta.txid || this.#readers.count === 0,
      'readers are of commits',
    );
    this.freelist.release(this.#meta.txid + 1, this.#readers.oldest);
    return new Writer(this, this.#meta);
  }

  get clock(): BboltEnv['clock'] {
    return this.#env.clock;
  }

  slices(): Slices {
    return new Slices(this.#env);
  }

  publish(meta: Meta): void {
    invariant(meta.txid === this.#meta.txid + 1, 'commits come one by one');
    invariant(meta.highWater >= this.pager.highWater, 'the high-water mark never goes back');
    this.#meta = meta;
    this.pager.highWater = meta.highWater;
  }

  poison(reason: unknown): void {
    this.#poisonedBy ??= new TetcdError(
      ERROR_CODES.DISK_FAILED,
      `${this.path}: a commit failed, writes are refused`,
      { cause: reason },
    );
    for (const { reject } of this.#waiting.splice(0)) reject(this.#poisonedBy);
    invariant(this.#waiting.length === 0, 'no writer follows a commit that failed');
  }

  releaseWriter(): void {
    invariant(this.#writing, 'the writer is done once');
    const next = this.#waiting.shift();
    // With a next writer `writing` stays set, so that no other writer begins before it runs.
    if (next === undefined) this.#writing = false;
    else next.resolve();
  }

  assertWritable(): void {
    this.pager.assertOpen();
    if (this.readOnly) {
      throw new TetcdError(
        ERROR_CODES.INVALID_ARGUMENT,
        `${this.path}: database is in read-only mode`,
      );
    }
    if (this.#poisonedBy !== undefined) throw this.#poisonedBy;
  }
}
