// A log file that is renamed when it is full, with a new one in its place, as lumberjack does it for etcd:
// name.ext becomes name-2006-01-02T15-04-05.000.ext, old ones are compressed or removed.
//
// What one write takes, whole lines, never lies in two files. Renaming and opening are system calls of
// this thread; old files are dealt with beside it, one at a time.

import {
  chownSync,
  closeSync,
  constants,
  createReadStream,
  createWriteStream,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { chown, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock } from '../clock.ts';
import { CHUNK_BYTES, type LineTarget } from './line-outputs.ts';
import { errnoOf } from './node-error.ts';

/** When a file is replaced, and how long its former ones are kept. */
export interface FileRotation {
  /** A write that would make the file larger goes to a new one. */
  readonly maxBytes: number;
  /** Former files whose names are of an earlier time are removed; 0 keeps them. */
  readonly maxAgeMs: number;
  /** So many former files are kept; 0 means all. */
  readonly maxBackups: number;
  /** The time in their names is the local one, not UTC. */
  readonly localTime: boolean;
  /** Former files are compressed with gzip, `.gz` at the end of the name. */
  readonly compress: boolean;
}

interface Backup {
  readonly name: string;
  readonly atMs: number;
}

const COMPRESSED = '.gz';
const TIME = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o755;

/** Whether a path is one to be rotated: nothing yet, or a file; a device or a pipe keeps its name. */
export function mayRotate(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? true;
}

export class RotatingFile implements LineTarget {
  readonly chunkBytes = CHUNK_BYTES;
  readonly #path: string;
  readonly #rotation: FileRotation;
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #onTrouble: (error: unknown) => void;
  #descriptor: number;
  #size: number;
  /** The last chunk was taken in part: its rest follows in the same file. */
  #inChunk = false;
  #tidying: Promise<void> | undefined;
  #tidyAgain = false;

  /**
   * Opens the file, or a new one if it is full, with the directories above it. Throws the system's error.
   * `onTrouble` gets errors of the work on former files, which is tried again at the next rotation.
   */
  constructor(
    path: string,
    rotation: FileRotation,
    clock: Pick<Clock, 'wallMs'>,
    onTrouble: (error: unknown) => void,
  ) {
    this.#path = path;
    this.#rotation = rotation;
    this.#clock = clock;
    this.#onTrouble = onTrouble;
    mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
    this.#descriptor = openSync(
      path,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT,
      FILE_MODE,
    );
    this.#size = fstatSync(this.#descriptor).size;
    if (this.#size >= rotation.maxBytes) this.#rotate();
    else this.#tidy();
  }

  encode(line: string): Buffer {
    return Buffer.from(line);
  }

  write(chunk: Buffer): number {
    const isFull = this.#size + chunk.length > this.#rotation.maxBytes;
    if (isFull && this.#size > 0 && !this.#inChunk) {
      this.#rotate();
    }
    const count = writeSync(this.#descriptor, chunk);
    this.#size += count;
    this.#inChunk = count < chunk.length;
    return count;
  }

  /** Resolves when nothing is being done about former files. */
  async settled(): Promise<void> {
    while (this.#tidying !== undefined) await this.#tidying;
  }

  /** On failure the former file is still in use, perhaps under its new name. */
  #rotate(): void {
    mkdirSync(dirname(this.#path), { recursive: true, mode: DIRECTORY_MODE });
    let before: Stats | undefined;
    try {
      before = statSync(this.#path);
      renameSync(this.#path, this.#backupPath());
    } catch (error) {
      // Taken away by another: there is nothing to rename.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    const { O_CREAT, O_TRUNC, O_WRONLY, O_APPEND } = constants;
    const flags = O_CREAT | O_TRUNC | O_WRONLY | O_APPEND;
    const fresh = openSync(this.#path, flags, before?.mode ?? FILE_MODE);
    if (before !== undefined && process.getuid?.() === 0) {
      chownSync(this.#path, before.uid, before.gid);
    }
    closeSync(this.#descriptor);
    this.#descriptor = fresh;
    this.#size = 0;
    this.#tidy();
  }

  /** Of this millisecond, or of the next that has none yet. */
  #backupPath(): string {
    const { stem, extension } = this.#nameParts();
    for (let atMs = Math.floor(this.#clock.wallMs()); ; atMs++) {
      const name = `${stem}${backupTime(atMs, this.#rotation.localTime)}${extension}`;
      const path = join(dirname(this.#path), name);
      if (!existsSync(path) && !existsSync(path + COMPRESSED)) return path;
    }
  }

  #nameParts(): { readonly stem: string; readonly extension: string } {
    const name = basename(this.#path);
    const at = name.lastIndexOf('.');
    const extension = at < 0 ? '' : name.slice(at);
    return { stem: `${name.slice(0, name.length - extension.length)}-`, extension };
  }

  /** One pass at a time; another follows if a file was replaced meanwhile. */
  #tidy(): void {
    const { maxAgeMs, maxBackups, compress } = this.#rotation;
    if (maxAgeMs === 0 && maxBackups === 0 && !compress) return;
    this.#tidyAgain = true;
    if (this.#tidying !== undefined) return;
    this.#tidying = this.#tidyAll().finally(() => {
      this.#tidying = undefined;
    });
  }

  async #tidyAll(): Promise<void> {
    while (this.#tidyAgain) {
      this.#tidyAgain = false;
      try {
        await this.#tidyOnce();
      } catch (error) {
        this.#onTrouble(error);
      }
    }
  }

  async #tidyOnce(): Promise<void> {
    const { maxAgeMs, maxBackups, compress } = this.#rotation;
    const directory = dirname(this.#path);
    const oldestMs = maxAgeMs === 0 ? Number.NEGATIVE_INFINITY : this.#clock.wallMs() - maxAgeMs;
    const counted = new Set<string>();
    const kept: string[] = [];
    for (const { name, atMs } of await this.#backups()) {
      // One that is being compressed counts once.
      counted.add(name.endsWith(COMPRESSED) ? name.slice(0, -COMPRESSED.length) : name);
      const isKept = atMs >= oldestMs && (maxBackups === 0 || counted.size <= maxBackups);
      if (isKept) kept.push(name);
      else await rm(join(directory, name), { force: true });
    }
    if (!compress) return;
    for (const name of kept) {
      if (!name.endsWith(COMPRESSED)) await compressed(join(directory, name));
    }
  }

  /** Former files, the newest first. */
  async #backups(): Promise<readonly Backup[]> {
    const { stem, extension } = this.#nameParts();
    const found: Backup[] = [];
    for (const entry of await readdir(dirname(this.#path), { withFileTypes: true })) {
      const { name } = entry;
      if (entry.isDirectory() || !name.startsWith(stem)) continue;
      const plain = name.endsWith(extension + COMPRESSED)
        ? name.slice(0, -COMPRESSED.length)
        : name;
      if (!plain.endsWith(extension)) continue;
      const time = plain.slice(stem.length, plain.length - extension.length);
      const atMs = timeOfBackup(time, this.#rotation.localTime);
      if (atMs !== undefined) found.push({ name, atMs });
    }
    return found.sort((a, b) => b.atMs - a.atMs);
  }
}

function backupTime(atMs: number, isLocal: boolean): string {
  const eastMs = isLocal ? -new Date(atMs).getTimezoneOffset() * 60_000 : 0;
  return new Date(atMs + eastMs).toISOString().slice(0, -1).replaceAll(':', '-');
}

/** Undefined for what is no time, as in a file of another's. */
function timeOfBackup(text: string, isLocal: boolean): number | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [, day, hour, minute, second] = match;
  const atMs = Date.parse(`${day}T${hour}:${minute}:${second}${isLocal ? '' : 'Z'}`);
  return Number.isNaN(atMs) ? undefined : atMs;
}

/** A compressed file that is there already is of an attempt that was cut off. */
async function compressed(path: string): Promise<void> {
  const target = path + COMPRESSED;
  const { mode, uid, gid } = await stat(path);
  try {
    await pipeline(createReadStream(path), createGzip(), createWriteStream(target, { mode }));
    if (process.getuid?.() === 0) await chown(target, uid, gid);
  } catch (error) {
    await rm(target, { force: true }).catch(() => undefined);
    throw error;
  }
  await rm(path);
}
