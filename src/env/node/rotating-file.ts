// A log file that is renamed when it is full, with a new one in its place, as lumberjack does it for etcd:
// name.ext becomes name-2006-01-02T15-04-05.000.ext, old ones are compressed or removed.
//
// No line lies in two files. All of it is system calls of the thread that owns the file, which may stall with
// the disk; former files are dealt with in small steps, so that lines are written in between.

import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Clock } from '../clock.ts';
import type { LogFile } from './log-file.ts';
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
export const ROTATED_MODE = 0o600;
const DIRECTORY_MODE = 0o755;
const LINE_END = 10;

/** Bytes of a former file that are compressed in one step: about 20 ms. */
const COMPRESSED_STEP_BYTES: number = 1024 * 1024;

/** Whether a path is one to be rotated: nothing yet, or a file; a device or a pipe keeps its name. */
export function mayRotate(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? true;
}

export function makeDirectoryOf(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
}

export class RotatingFile implements LogFile {
  readonly #path: string;
  readonly #rotation: FileRotation;
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #onTrouble: (error: unknown) => void;
  #descriptor: number;
  #size: number;
  /** The last line was written in part: its rest follows in the same file. */
  #inLine = false;
  #tidying: Generator<undefined, void> | undefined;
  #tidyDue = false;

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
    makeDirectoryOf(path);
    this.#descriptor = openSync(
      path,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT,
      ROTATED_MODE,
    );
    this.#size = fstatSync(this.#descriptor).size;
    this.#tidyDue = true;
    if (this.#size >= rotation.maxBytes) this.#rotate();
  }

  /** Whole lines, but where a former write ended within one. */
  write(lines: Buffer): number {
    const piece = this.#inLine ? upToFirstEnd(lines) : this.#whatFits(lines);
    const count = writeSync(this.#descriptor, piece);
    this.#size += count;
    this.#inLine = count > 0 ? piece[count - 1] !== LINE_END : this.#inLine;
    return count;
  }

  /** One step: a directory listed, a file removed, or a piece of one compressed. */
  tidy(): boolean {
    if (this.#tidying === undefined) {
      const { maxAgeMs, maxBackups, compress } = this.#rotation;
      if (!this.#tidyDue || (maxAgeMs === 0 && maxBackups === 0 && !compress)) return false;
      this.#tidyDue = false;
      this.#tidying = this.#tidyOnce();
    }
    try {
      if (this.#tidying.next().done === true) this.#tidying = undefined;
    } catch (error) {
      this.#tidying = undefined;
      this.#onTrouble(error);
    }
    return this.#tidying !== undefined || this.#tidyDue;
  }

  close(): void {
    this.#tidying?.return();
    closeSync(this.#descriptor);
  }

  /** Lines for which there is room in the file; one at least, in a new file if need be. */
  #whatFits(lines: Buffer): Buffer {
    const fitting = (): number => {
      const room = this.#rotation.maxBytes - this.#size;
      if (lines.length <= room) return lines.length;
      return room <= 0 ? 0 : lines.lastIndexOf(LINE_END, room - 1) + 1;
    };
    const count = fitting();
    if (count > 0) return lines.subarray(0, count);
    if (this.#size > 0) this.#rotate();
    return fitting() > 0 ? lines.subarray(0, fitting()) : upToFirstEnd(lines);
  }

  /** On failure the former file is still in use, perhaps under its new name. */
  #rotate(): void {
    makeDirectoryOf(this.#path);
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
    const fresh = openSync(this.#path, flags, before?.mode ?? ROTATED_MODE);
    if (before !== undefined && process.getuid?.() === 0) {
      chownSync(this.#path, before.uid, before.gid);
    }
    closeSync(this.#descriptor);
    this.#descriptor = fresh;
    this.#size = 0;
    this.#tidyDue = true;
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

  *#tidyOnce(): Generator<undefined, void> {
    const { maxAgeMs, maxBackups, compress } = this.#rotation;
    const directory = dirname(this.#path);
    const oldestMs = maxAgeMs === 0 ? Number.NEGATIVE_INFINITY : this.#clock.wallMs() - maxAgeMs;
    const counted = new Set<string>();
    const kept: string[] = [];
    for (const { name, atMs } of this.#backups()) {
      // One that is being compressed counts once.
      counted.add(name.endsWith(COMPRESSED) ? name.slice(0, -COMPRESSED.length) : name);
      const isKept = atMs >= oldestMs && (maxBackups === 0 || counted.size <= maxBackups);
      if (isKept) kept.push(name);
      else {
        yield;
        rmSync(join(directory, name), { force: true });
      }
    }
    if (!compress) return;
    for (const name of kept) {
      yield;
      if (!name.endsWith(COMPRESSED)) yield* compressInSteps(join(directory, name));
    }
  }

  /** Former files, the newest first. */
  #backups(): readonly Backup[] {
    const { stem, extension } = this.#nameParts();
    const found: Backup[] = [];
    for (const entry of readdirSync(dirname(this.#path), { withFileTypes: true })) {
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

function upToFirstEnd(lines: Buffer): Buffer {
  const end = lines.indexOf(LINE_END);
  return end < 0 ? lines : lines.subarray(0, end + 1);
}

/**
 * A file of several gzip members, which every reader takes for one. A compressed file that is there already
 * is of an attempt that was cut off.
 */
function* compressInSteps(path: string): Generator<undefined, void> {
  const target = path + COMPRESSED;
  const source = openSync(path, 'r');
  let result: number | undefined;
  let isWhole = false;
  try {
    const { mode, uid, gid } = fstatSync(source);
    result = openSync(target, 'w', mode);
    if (process.getuid?.() === 0) fchownSync(result, uid, gid);
    const piece = Buffer.allocUnsafe(COMPRESSED_STEP_BYTES);
    let count: number;
    do {
      count = readSync(source, piece);
      writeWhole(result, gzipSync(piece.subarray(0, count)));
      yield;
    } while (count === piece.length);
    isWhole = true;
  } finally {
    closeSync(source);
    if (result !== undefined) closeSync(result);
    if (result !== undefined && !isWhole) rmSync(target, { force: true });
  }
  rmSync(path);
}

function writeWhole(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}
