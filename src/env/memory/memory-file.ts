// An open file of a disk in memory.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import type { DirectoryLock, DiskFile } from '../disk.ts';
import type { SparseBytes } from './sparse-bytes.ts';

export interface FileNode {
  readonly kind: 'file';
  readonly mode: number;
  readonly bytes: SparseBytes;
  lockHolder: MemoryFile | undefined;
  /** Names that lead to it. */
  nameCount: number;
}

/** What a disk does with the names of an open file. */
interface FileNames {
  rename(from: string, to: string): Promise<void>;
  link(from: string, to: string): Promise<void>;
}

export class MemoryFile implements DiskFile {
  #path: string;
  readonly #node: FileNode;
  readonly #mayWrite: boolean;
  /** Of the disk. */
  readonly #names: FileNames;
  #closed = false;

  constructor(
    opened: { readonly path: string; readonly node: FileNode; readonly mayWrite: boolean },
    names: FileNames,
  ) {
    this.#path = opened.path;
    this.#node = opened.node;
    this.#mayWrite = opened.mayWrite;
    this.#names = names;
  }

  get path(): string {
    return this.#path;
  }

  size(): number {
    return this.#opened('size of').size;
  }

  isNamed(): boolean {
    this.#opened('names of');
    return this.#node.nameCount > 0;
  }

  readSync(target: Uint8Array, position: number): number {
    return this.#opened('read').read(target, position);
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return this.#opened('read').read(target, position);
  }

  writeSync(bytes: Uint8Array, position: number): void {
    this.#writable('write').write(bytes, position);
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    const content = this.#writable('write');
    let at = position;
    for (const chunk of chunks) {
      content.write(chunk, at);
      at += chunk.length;
    }
  }

  async sync(): Promise<void> {
    this.#opened('sync');
  }

  maybeSyncNow(): boolean {
    this.#opened('sync');
    return true;
  }

  async truncate(size: number): Promise<void> {
    this.#writable('truncate').truncate(size);
  }

  async zeroFill(from: number, to: number): Promise<void> {
    const content = this.#writable('zero-fill');
    if (from < to) content.zeroFill(from, to);
  }

  async lock(directory?: DirectoryLock): Promise<void> {
    this.#opened('lock');
    invariant(this.#node.lockHolder !== this, 'DiskFile.lock: locked already');
    if (this.#node.lockHolder !== undefined) throw locked(this.path);
    if (directory?.coversFiles !== true) this.#node.lockHolder = this;
  }

  async rename(to: string): Promise<void> {
    this.#opened('rename');
    await this.#names.rename(this.#path, to);
    this.#path = to;
  }

  async link(name: string): Promise<void> {
    this.#opened('link');
    await this.#names.link(this.#path, name);
  }

  goBy(name: string): void {
    this.#opened('go by');
    this.#path = name;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#node.lockHolder === this) this.#node.lockHolder = undefined;
  }

  #opened(what: string): SparseBytes {
    if (this.#closed) {
      throw new TetcdError(ERROR_CODES.CLOSED, `${what} ${this.path}: the file is closed`);
    }
    return this.#node.bytes;
  }

  #writable(what: string): SparseBytes {
    const content = this.#opened(what);
    if (!this.#mayWrite) {
      const text = `${what} ${this.path}: opened for reading only`;
      throw new TetcdError(ERROR_CODES.DISK_FAILED, text);
    }
    return content;
  }
}

export function locked(path: string): TetcdError {
  const text = `lock ${path}: another member of this program uses it`;
  return new TetcdError(ERROR_CODES.LOCKED, text);
}
