// Pages of a file that the system may not take out of memory: they are mapped and locked, by calls of the C
// library for which Node has none.
//
// The process locks nothing of its own: V8 gives memory back by madvise(2), which fails for locked
// pages, and then it aborts. So mlockall(2) can never be used; docs/decisions/0022-memory-mlock.md.

import { type FileHandle, open } from 'node:fs/promises';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { MemoryLock } from '../memory-lock.ts';
import { loadCLibrary } from './c-library.ts';

/** Locked by one call, in some milliseconds: while it lasts, the process can map no memory. */
const SLICE_BYTES = 4 * 1024 * 1024;
/** A multiple of the size of a page on every machine. */
const ALIGN_BYTES = 64 * 1024;
/** Parts that a file that grows is mapped in; then it is mapped anew as a whole. */
const MAPPINGS_MAX = 64;

/** UNSUPPORTED if this machine cannot do it, or lacks the package. */
export async function createFileMemoryLock(): Promise<MemoryLock> {
  return new FileMemoryLock(await loadCalls());
}

interface Mapping {
  readonly address: number;
  readonly bytes: number;
}

class FileMemoryLock implements MemoryLock {
  readonly #calls: Calls;
  #mappings: Mapping[] = [];
  /** Device and number of the file that is covered. */
  #file = '';
  /** Its bytes that are locked, from the first on. */
  #covered = 0;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async cover(path: string): Promise<void> {
    const handle = await open(path, 'r');
    try {
      const { dev, ino, size } = await handle.stat();
      const file = `${dev} ${ino}`;
      const isMapped = file === this.#file && size >= this.#covered;
      if (!isMapped || this.#mappings.length >= MAPPINGS_MAX) await this.close();
      this.#file = file;
      if (size > this.#covered) await this.#coverRest(path, handle, size);
    } finally {
      await handle.close();
    }
  }

  async #coverRest(path: string, { fd }: FileHandle, size: number): Promise<void> {
    const start = this.#covered - (this.#covered % ALIGN_BYTES);
    const mapping = await this.#calls.map(path, { fd, start, bytes: size - start });
    const { address, bytes } = mapping;
    try {
      for (let at = 0; at < bytes; at += SLICE_BYTES) {
        await this.#calls.lock(path, address + at, Math.min(SLICE_BYTES, bytes - at));
      }
    } catch (error) {
      await this.#calls.unmap(mapping);
      throw error;
    }
    this.#mappings.push(mapping);
    this.#covered = size;
  }

  async close(): Promise<void> {
    this.#covered = 0;
    this.#file = '';
    for (const mapping of this.#mappings.splice(0)) await this.#calls.unmap(mapping);
  }
}

// --- The C library ---------------------------------------------------------------------------------

interface Calls {
  map(
    path: string,
    part: { readonly fd: number; readonly start: number; readonly bytes: number },
  ): Promise<Mapping>;
  lock(path: string, address: number, bytes: number): Promise<void>;
  unmap(mapping: Mapping): Promise<void>;
}

// The same on all machines that Linux runs on.
const PROT_READ = 1;
const MAP_SHARED = 1;

async function loadCalls(): Promise<Calls> {
  if (process.platform !== 'linux') {
    throw unsupported('--memory-mlock works on Linux only');
  }
  const library = await loadCLibrary().catch((error: unknown) => {
    throw unsupported('--memory-mlock needs the package ffi-rs, which cannot be loaded', error);
  });
  const call = async (name: string, values: number[], what: string): Promise<number> => {
    const { value, errorText } = await library.call(name, values);
    if (value !== -1) return value;
    throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, `${what}: ${errorText}`);
  };
  return {
    map: async (path, { fd, start, bytes }) => {
      const what = `mmap ${path}`;
      const address = await call('mmap', [0, bytes, PROT_READ, MAP_SHARED, fd, start], what);
      return { address, bytes };
    },
    lock: async (path, address, bytes) => {
      const what = `mlock error, you may need to increase ulimit -l: mlock ${path}`;
      await call('mlock', [address, bytes], what);
    },
    unmap: async ({ address, bytes }) => {
      await call('munmap', [address, bytes], 'munmap');
    },
  };
}

function unsupported(text: string, cause?: unknown): TetcdError {
  return new TetcdError(ERROR_CODES.UNSUPPORTED, text, { cause });
}
