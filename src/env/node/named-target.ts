// The outputs that have names: `stdout`, `stderr`, and paths.

import { closeSync, constants, fstatSync, openSync, type Stats, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { FileThread, type FileTrouble } from './file-thread.ts';
import { CHUNK_BYTES, type LineTarget } from './line-target.ts';
import { errnoOf } from './node-error.ts';

const STANDARD: Readonly<Record<string, number>> = { stdout: 1, stderr: 2 };

/**
 * Opens `stdout`, `stderr` or a path, which is appended to. Throws the system's error. Pipes, terminals and
 * other devices are written by this thread without blocking, files by one of their own.
 */
export function openNamedTarget(name: string, onTrouble: FileTrouble): LineTarget {
  const standard = STANDARD[name];
  const descriptor = standard ?? openPath(name);
  const stat = fstatSync(descriptor);
  if (!stat.isFile())
    return descriptorTarget(standard === undefined ? descriptor : nonBlocking(descriptor, stat));
  if (standard === undefined) closeSync(descriptor);
  return new FileThread({ path: name, descriptor: standard }, { onTrouble });
}

function descriptorTarget(descriptor: number): LineTarget {
  return {
    chunkBytes: CHUNK_BYTES,
    encode: (line) => Buffer.from(line),
    write: (chunk) => writeSync(descriptor, chunk),
  };
}

function openPath(path: string): number {
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY, O_RDWR, O_WRONLY } = constants;
  const flags = O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;
  try {
    return openSync(path, O_WRONLY | flags, 0o666);
  } catch (error) {
    // A named pipe without a reader: it keeps what fits until one comes.
    if (errnoOf(error) !== 'ENXIO') throw error;
    return openSync(path, O_RDWR | flags, 0o666);
  }
}

/**
 * A descriptor of the same pipe, terminal or socket that does not block. Opened again it is ours
 * alone, and other processes that share the old one (a shell) still block. What cannot be opened
 * again (a socket, a pipe of another user) is made non-blocking itself, which Node undoes at exit,
 * except for a terminal, which other processes share.
 */
function nonBlocking(standard: number, stat: Stats): number {
  if (stat.isFIFO() || stat.isCharacterDevice()) {
    try {
      const { O_NONBLOCK, O_NOCTTY, O_WRONLY } = constants;
      return openSync(`/proc/self/fd/${standard}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    } catch {
      if (stat.isCharacterDevice()) return standard;
    }
  }
  if (stat.isFIFO() || stat.isSocket()) {
    try {
      // Only for what it does to the descriptor; nothing closes it.
      new Socket({ fd: standard, readable: false, writable: true });
    } catch {
      // Of a kind that Node does not know: it may block.
    }
  }
  return standard;
}
