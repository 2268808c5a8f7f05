// A log file as the thread that owns it sees it: plain system calls, which may take as long as they like.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { type FileRotation, makeDirectoryOf, ROTATED_MODE, RotatingFile } from './rotating-file.ts';

/** Which file; can be sent to a thread. */
export interface LogFileSpec {
  readonly path: string;
  /** Of a standard output that is a file; undefined: it is opened by its path, and closed. */
  readonly descriptor?: number | undefined;
  readonly rotation?: FileRotation | undefined;
}

export interface LogFile {
  /** Writes the first bytes and returns how many. Throws the system's error. */
  write(lines: Buffer): number;
  /** Does a part of what else is to be done, and returns whether there may be more. Throws nothing. */
  tidy(): boolean;
  close(): void;
}

const { O_APPEND, O_CREAT, O_NOCTTY, O_WRONLY } = constants;
const FLAGS = O_APPEND | O_CREAT | O_NOCTTY | O_WRONLY;

/**
 * Makes the file, and the directories above one that rotates, if they are missing. Throws the system's error
 * if it cannot be opened now.
 */
export function checkLogFile({ path, rotation }: LogFileSpec): void {
  if (rotation !== undefined) makeDirectoryOf(path);
  closeSync(openSync(path, FLAGS, rotation === undefined ? 0o666 : ROTATED_MODE));
}

/** `onTrouble` gets errors of what {@link LogFile.tidy} does. Throws the system's error. */
export function openLogFile(
  { path, descriptor, rotation }: LogFileSpec,
  clock: Pick<Clock, 'wallMs'>,
  onTrouble: (error: unknown) => void,
): LogFile {
  if (rotation !== undefined) return new RotatingFile(path, rotation, clock, onTrouble);
  const at = descriptor ?? openSync(path, FLAGS, 0o666);
  return {
    write: (lines) => writeSync(at, lines),
    tidy: () => false,
    close: () => {
      if (descriptor === undefined) closeSync(at);
    },
  };
}
