// The real disk, by file descriptor.
//
// Platforms: everything is written for POSIX. On Windows a directory cannot be synced (its names are
// journalled by NTFS; `syncDirectory` does nothing), an open file cannot be
// renamed over or removed, and locks work as `lock.ts` says.

import {
  type BigIntStats,
  close,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  ftruncate,
  link,
  mkdir,
  type NoParamCallback,
  open,
  read,
  readdir,
  readSync,
  rename,
  rm,
  type Stats,
  type StatsFs,
  stat,
  statfs,
  unlink,
  write,
  writeSync,
  writev,
} from 'node:fs';
import { resolve as absolutePath, dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ERROR_CODES, invariant, TetcdError, unreachable } from '../../base/index.ts';
import {
  type DirectoryLock,
  type Disk,
  type DiskFile,
  type FileStat,
  OPEN_MODES,
  type OpenMode,
} from '../disk.ts';
import { lockDirectory } from './directory-lock.ts';
import { lockFile, lockGap, lockWithinDirectory } from './lock.ts';
import type { HeldLock } from './lock-file.ts';
import { diskError, errnoOf } from './node-error.ts';
import { SyncPace } from './sync-pace.ts';

const FILE_PERMISSIONS_DEFAULT = 0o600;
const DIRECTORY_PERMISSIONS_DEFAULT = 0o700;
const PERMISSION_BITS = 0o7777;

/** Most arrays in one `writev`; Linux refuses more (IOV_MAX). */
const WRITEV_CHUNKS_MAX = 1024;

/**
 * Bytes of zeros written at a time: large enough that the call overhead vanishes, small enough that
 * a commit's write waits little behind it.
 */
const ZERO_CHUNK_SIZE = 1024 * 1024;

/** Made when the first file is zero-filled; never written to. */
let zeros: Uint8Array | undefined;

/** The file systems of this machine; relative paths are relative to the working directory. */
export function createNodeDisk(): Disk {
  return {
    open: openFile,
    stat: statPath,
    list,
    makeDirectory: (path, permissions = DIRECTORY_PERMISSIONS_DEFAULT) =>
      makeDirectory(absolutePath(path), permissions),
    rename: (from, to) => run(`rename to ${to}`, from, (done) => rename(from, to, done)),
    remove: (path) => run('remove', path, (done) => unlink(path, done)),
    removeTree: (path) =>
      run('remove tree', path, (done) => rm(path, { recursive: true, force: true }, done)),
    syncDirectory,
    freeBytes,
    lockDirectory: (path) => lockDirectory(path),
    get lockGap() {
      return lockGap();
    },
  };
}

/** One callback-style operation as a promise that rejects with our error. */
function run(
  operation: string,
  path: string,
  start: (done: NoParamCallback) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === null) resolve();
      else reject(diskError(error, operation, path));
    });
  });
}

function flagsOf(mode: OpenMode): number {
  switch (mode) {
    case OPEN_MODES.READ:
      // A named pipe in a file's place must not keep a thread waiting for its writer.
      return constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
    case OPEN_MODES.WRITE:
      return constants.O_RDWR;
    case OPEN_MODES.CREATE:
      return constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    case OPEN_MODES.OPEN_OR_CREATE:
      return constants.O_RDWR | constants.O_CREAT;
    default:
      return unreachable(mode);
  }
}

function openFile(
  path: string,
  mode: OpenMode,
  permissions = FILE_PERMISSIONS_DEFAULT,
): Promise<DiskFile> {
  return new Promise((resolve, reject) => {
    open(path, flagsOf(mode), permissions, (error, descriptor) => {
      if (error !== null) reject(diskError(error, 'open', path));
      else resolve(new NodeFile(path, descriptor));
    });
  });
}

/**
 * Makes the parents too. Node's own option retries without end where a parent is there and yet
 * nothing can be made in it (`/proc/nope/x`), in a thread that nothing can stop.
 */
async function makeDirectory(path: string, permissions: number): Promise<void> {
  const missing: string[] = [];
  let at = path;
  for (; (await makeOneDirectory(at, permissions)) !== undefined; at = dirname(at)) {
    missing.push(at);
  }
  for (at of missing.reverse()) {
    const error = await makeOneDirectory(at, permissions);
    if (error !== undefined) throw diskError(error, 'make directory', at);
  }
}

/** Resolves to the error if its parent is missing. A directory that is there is as good as made. */
function makeOneDirectory(path: string, permissions: number): Promise<Error | undefined> {
  return new Promise((done, fail) => {
    mkdir(path, { mode: permissions }, (error) => {
      if (error === null) done(undefined);
      else if (errnoOf(error) === 'ENOENT' && dirname(path) !== path) done(error);
      else {
        stat(path, (_, found) => {
          if (found?.isDirectory() === true) done(undefined);
          else fail(diskError(error, 'make directory', path));
        });
      }
    });
  });
}

function statPath(path: string): Promise<FileStat | undefined> {
  return new Promise((resolve, reject) => {
    stat(path, (error: NodeJS.ErrnoException | null, found: Stats | BigIntStats) => {
      if (error === null) resolve(fileStatOf(found as Stats));
      // ENOTDIR: what should be a parent directory is a file, so nothing can have that name.
      else if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') resolve(undefined);
      else reject(diskError(error, 'stat', path));
    });
  });
}

function fileStatOf(found: Stats): FileStat {
  const directory = found.isDirectory();
  return {
    kind: directory ? 'directory' : 'file',
    size: directory ? 0 : found.size,
    mode: found.mode & PERMISSION_BITS,
  };
}

function list(directory: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    readdir(directory, { encoding: 'buffer' }, (error, names) => {
      if (error !== null) reject(diskError(error, 'list', directory));
      else resolve(names.sort(Buffer.compare).map((name) => name.toString('utf8')));
    });
  });
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const descriptor = await new Promise<number>((resolve, reject) => {
    open(path, constants.O_RDONLY | constants.O_DIRECTORY, (error, opened) => {
      if (error !== null) reject(diskError(error, 'sync directory', path));
      else resolve(opened);
    });
  });
  try {
    await run('sync directory', path, (done) => fsync(descriptor, done));
  } finally {
    await run('close directory', path, (done) => close(descriptor, done));
  }
}

/** Free bytes for users other than root; quotas are not known. */
function freeBytes(directory: string): Promise<number> {
  return new Promise((resolve, reject) => {
    statfs(directory, (error: NodeJS.ErrnoException | null, found: StatsFs) => {
      if (error !== null) reject(diskError(error, 'free space of', directory));
      else resolve(found.bavail * found.bsize);
    });
  });
}

class NodeFile implements DiskFile {
  #path: string;
  /** -1 once closed. The number is reused by the system at once: no call may use an old one. */
  #descriptor: number;
  /** Asynchronous calls in progress; `close` waits for them, since the descriptor is reused. */
  #callsUnderWay = 0;
  #onIdle: (() => void) | undefined;
  #closing = false;
  #lock: HeldLock | undefined;
  readonly #pace = new SyncPace();

  constructor(path: string, descriptor: number) {
    this.#path = path;
    this.#descriptor = descriptor;
  }

  get path(): string {
    return this.#path;
  }

  size(): number {
    const descriptor = this.#open('size of');
    try {
      return fstatSync(descriptor).size;
    } catch (error) {
      throw diskError(error, 'size of', this.path);
    }
  }

  isNamed(): boolean {
    const descriptor = this.#open('names of');
    try {
      return fstatSync(descriptor).nlink > 0;
    } catch (error) {
      throw diskError(error, 'names of', this.path);
    }
  }

  readSync(target: Uint8Array, position: number): number {
    const descriptor = this.#open('read');
    let done = 0;
    try {
      while (done < target.length) {
        const count = readSync(descriptor, target, done, target.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw diskError(error, 'read', this.path);
    }
    return done;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const count = await this.#counted('read', (descriptor, finish) =>
        read(descriptor, target, done, target.length - done, position + done, finish),
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  writeSync(bytes: Uint8Array, position: number): void {
    const descriptor = this.#open('write');
    try {
      let done = 0;
      while (done < bytes.length) {
        done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
      }
    } catch (error) {
      throw diskError(error, 'write', this.path);
    }
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    for (let first = 0; first < chunks.length; first += WRITEV_CHUNKS_MAX) {
      const some = chunks.slice(first, first + WRITEV_CHUNKS_MAX);
      let size = 0;
      for (const chunk of some) size += chunk.length;
      if (size === 0) continue;
      const count =
        some.length === 1
          ? await this.#writeOnce(some[0]!, at)
          : await this.#counted('write', (descriptor, finish) =>
              writev(descriptor, some, at, finish),
            );
      if (count < size) await this.#writeRest(some, count, at);
      at += size;
    }
  }

  sync(): Promise<void> {
    return this.#plain('sync', (descriptor, done) => {
      const beganMs = performance.now();
      fdatasync(descriptor, (error) => {
        this.#pace.observe(beganMs, performance.now(), false);
        done(error);
      });
    });
  }

  maybeSyncNow(): boolean {
    const descriptor = this.#open('sync');
    const beganMs = performance.now();
    if (!this.#pace.isFast(beganMs)) return false;
    try {
      fdatasyncSync(descriptor);
    } catch (error) {
      throw diskError(error, 'sync', this.path);
    }
    this.#pace.observe(beganMs, performance.now(), true);
    return true;
  }

  truncate(size: number): Promise<void> {
    return this.#plain('truncate', (descriptor, done) => ftruncate(descriptor, size, done));
  }

  async zeroFill(from: number, to: number): Promise<void> {
    zeros ??= new Uint8Array(ZERO_CHUNK_SIZE);
    for (let at = from; at < to; ) {
      at += await this.#writeOnce(zeros.subarray(0, Math.min(ZERO_CHUNK_SIZE, to - at)), at);
    }
  }

  async lock(directory?: DirectoryLock): Promise<void> {
    const descriptor = this.#open('lock');
    invariant(this.#lock === undefined, 'DiskFile.lock: locked already');
    this.#callsUnderWay++;
    const take = directory?.coversFiles === true ? lockWithinDirectory : lockFile;
    try {
      this.#lock = await take(this.path, descriptor);
    } finally {
      this.#callFinished();
    }
  }

  async rename(to: string): Promise<void> {
    const descriptor = this.#open('rename');
    this.#callsUnderWay++;
    try {
      const old = this.#lock;
      const taken = old?.isOfName === true ? await lockFile(to, descriptor) : undefined;
      try {
        await run(`rename to ${to}`, this.#path, (done) => rename(this.#path, to, done));
      } catch (error) {
        await taken?.release();
        throw error;
      }
      this.#path = to;
      if (taken === undefined) return;
      this.#lock = taken;
      await old?.release();
    } finally {
      this.#callFinished();
    }
  }

  async link(name: string): Promise<void> {
    this.#open('link');
    if (this.#lock?.isOfName === true) {
      const text = `link ${this.#path} to ${name}: the lock is of one name`;
      throw new TetcdError(ERROR_CODES.DISK_FAILED, text);
    }
    await this.#plain('link', (_, done) => link(this.#path, name, done));
  }

  goBy(name: string): void {
    this.#open('go by');
    invariant(this.#lock?.isOfName !== true, 'a lock of a name covers no other');
    this.#path = name;
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#callsUnderWay > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    const descriptor = this.#descriptor;
    this.#descriptor = -1;
    await this.#lock?.release();
    await run('close', this.path, (done) => close(descriptor, done));
  }

  /** The descriptor, for a call that may begin. */
  #open(operation: string): number {
    if (this.#closing) {
      throw new TetcdError(ERROR_CODES.CLOSED, `${operation} ${this.path}: the file is closed`);
    }
    return this.#descriptor;
  }

  #callFinished(): void {
    this.#callsUnderWay--;
    if (this.#callsUnderWay === 0) this.#onIdle?.();
  }

  #writeOnce(bytes: Uint8Array, position: number): Promise<number> {
    return this.#counted('write', (descriptor, finish) =>
      write(descriptor, bytes, 0, bytes.length, position, finish),
    );
  }

  /** After a short write (a signal, a nearly full disk): the rest, chunk by chunk. */
  async #writeRest(chunks: readonly Uint8Array[], written: number, position: number) {
    let start = 0;
    for (const chunk of chunks) {
      let done = Math.min(chunk.length, Math.max(0, written - start));
      while (done < chunk.length) {
        done += await this.#writeOnce(chunk.subarray(done), position + start + done);
      }
      start += chunk.length;
    }
  }

  #plain(
    operation: string,
    start: (descriptor: number, done: NoParamCallback) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const descriptor = this.#open(operation);
      this.#callsUnderWay++;
      start(descriptor, (error) => {
        this.#callFinished();
        if (error === null) resolve();
        else reject(diskError(error, operation, this.path));
      });
    });
  }

  #counted(
    operation: string,
    start: (
      descriptor: number,
      finish: (error: NodeJS.ErrnoException | null, count: number) => void,
    ) => void,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const descriptor = this.#open(operation);
      this.#callsUnderWay++;
      start(descriptor, (error, count) => {
        this.#callFinished();
        if (error === null) resolve(count);
        else reject(diskError(error, operation, this.path));
      });
    });
  }
}
