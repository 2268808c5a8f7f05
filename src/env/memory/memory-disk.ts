// A disk in memory: for tests and for members whose data may end with the process. Writes
// are visible at once, and all data ends with the last reference to the disk.

import {
  bytesFromUtf8,
  compareBytes,
  ERROR_CODES,
  type ErrorCode,
  TetcdError,
} from '../../base/index.ts';
import {
  type DirectoryLock,
  type Disk,
  type DiskFile,
  type FileStat,
  OPEN_MODES,
  type OpenMode,
} from '../disk.ts';
import { type FileNode, locked, MemoryFile } from './memory-file.ts';
import { SparseBytes } from './sparse-bytes.ts';

interface DirectoryNode {
  readonly kind: 'directory';
  readonly mode: number;
  lockHolder: DirectoryLock | undefined;
}

type Node = DirectoryNode | FileNode;

/** An empty disk. Relative paths and absolute ones are the same; its root is there. */
export function createMemoryDisk(): Disk {
  return new MemoryDisk();
}

class MemoryDisk implements Disk {
  /** By path without slashes at its ends; '' is the root. */
  readonly #nodes = new Map<string, Node>([['', newDirectory(0o700)]]);

  async open(path: string, mode: OpenMode, permissions = 0o600): Promise<DiskFile> {
    const key = keyOf(path);
    let node = this.#nodes.get(key);
    if (node?.kind === 'directory') throw refused('DISK_FAILED', 'open', path, 'it is a directory');
    if (mode === OPEN_MODES.CREATE && node !== undefined) throw taken('open', path);
    if (node === undefined) {
      const mayCreate = mode === OPEN_MODES.CREATE || mode === OPEN_MODES.OPEN_OR_CREATE;
      if (!mayCreate) throw missing('open', path);
      this.#assertParent('open', path);
      const bytes = new SparseBytes();
      node = { kind: 'file', mode: permissions, bytes, lockHolder: undefined, nameCount: 1 };
      this.#nodes.set(key, node);
    }
    const opened = { path, node, mayWrite: mode !== OPEN_MODES.READ };
    return new MemoryFile(opened, {
      rename: (from, to) => this.rename(from, to),
      link: (from, to) => this.#link(from, to),
    });
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const node = this.#nodes.get(keyOf(path));
    if (node === undefined) return undefined;
    const { kind, mode } = node;
    return { kind, size: kind === 'file' ? node.bytes.size : 0, mode };
  }

  async list(directory: string): Promise<string[]> {
    const node = this.#nodes.get(keyOf(directory));
    if (node === undefined) throw missing('list', directory);
    if (node.kind === 'file') throw refused('DISK_FAILED', 'list', directory, 'it is a file');
    const names = this.#below(directory).filter((name) => !name.includes('/'));
    return names.sort((a, b) => compareBytes(bytesFromUtf8(a), bytesFromUtf8(b)));
  }

  async makeDirectory(path: string, permissions = 0o700): Promise<void> {
    const parts = keyOf(path).split('/');
    for (let count = 1; count <= parts.length; count++) {
      const key = parts.slice(0, count).join('/');
      const found = this.#nodes.get(key);
      if (found?.kind === 'file') throw taken('make directory', key);
      if (found === undefined) this.#nodes.set(key, newDirectory(permissions));
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const node = this.#nodes.get(keyOf(from));
    if (node === undefined) throw missing('rename', from);
    this.#assertParent('rename', to);
    const replaced = this.#nodes.get(keyOf(to));
    if (replaced === node) return;
    if (replaced?.kind === 'directory' && (node.kind === 'file' || this.#below(to).length > 0)) {
      throw taken('rename', to);
    }
    if (replaced?.kind === 'file' && node.kind === 'directory') throw taken('rename', to);
    for (const name of this.#below(from)) {
      this.#nodes.set(`${keyOf(to)}/${name}`, this.#nodes.get(`${keyOf(from)}/${name}`)!);
      this.#nodes.delete(`${keyOf(from)}/${name}`);
    }
    this.#nodes.delete(keyOf(from));
    if (replaced?.kind === 'file') replaced.nameCount--;
    this.#nodes.set(keyOf(to), node);
  }

  async #link(from: string, to: string): Promise<void> {
    const node = this.#nodes.get(keyOf(from));
    if (node === undefined) throw missing('link', from);
    if (node.kind === 'directory') throw refused('DISK_FAILED', 'link', from, 'it is a directory');
    this.#assertParent('link', to);
    if (this.#nodes.has(keyOf(to))) throw taken('link', to);
    node.nameCount++;
    this.#nodes.set(keyOf(to), node);
  }

  async remove(path: string): Promise<void> {
    const node = this.#nodes.get(keyOf(path));
    if (node === undefined) throw missing('remove', path);
    if (node.kind === 'directory')
      throw refused('DISK_FAILED', 'remove', path, 'it is a directory');
    this.#delete(keyOf(path));
  }

  async removeTree(path: string): Promise<void> {
    for (const name of this.#below(path)) this.#delete(`${keyOf(path)}/${name}`);
    if (keyOf(path) !== '') this.#delete(keyOf(path));
  }

  async syncDirectory(path: string): Promise<void> {
    if (!this.#nodes.has(keyOf(path))) throw missing('sync', path);
  }

  async freeBytes(directory: string): Promise<number> {
    if (!this.#nodes.has(keyOf(directory))) throw missing('free space of', directory);
    return Number.POSITIVE_INFINITY;
  }

  async lockDirectory(path: string): Promise<DirectoryLock> {
    const node = this.#nodes.get(keyOf(path));
    if (node === undefined) throw missing('lock', path);
    if (node.kind === 'file') throw refused('DISK_FAILED', 'lock', path, 'it is a file');
    if (node.lockHolder !== undefined) throw locked(path);
    const release = async (): Promise<void> => {
      if (node.lockHolder === lock) node.lockHolder = undefined;
    };
    const lock: DirectoryLock = { coversFiles: true, release };
    node.lockHolder = lock;
    return lock;
  }

  #delete(key: string): void {
    const node = this.#nodes.get(key);
    if (node?.kind === 'file') node.nameCount--;
    this.#nodes.delete(key);
  }

  /** What lies below, at any depth, by its path from there. */
  #below(path: string): string[] {
    const prefix = keyOf(path) === '' ? '' : `${keyOf(path)}/`;
    return [...this.#nodes.keys()]
      .filter((key) => key !== '' && key.startsWith(prefix))
      .map((key) => key.slice(prefix.length));
  }

  #assertParent(what: string, path: string): void {
    const key = keyOf(path);
    const parent = this.#nodes.get(key.slice(0, Math.max(0, key.lastIndexOf('/'))));
    if (parent === undefined) throw missing(what, path);
    if (parent.kind === 'file') {
      throw refused('DISK_FAILED', what, path, 'a part of the path is not a directory');
    }
  }
}

function newDirectory(mode: number): DirectoryNode {
  return { kind: 'directory', mode, lockHolder: undefined };
}

function keyOf(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function refused(code: ErrorCode, what: string, path: string, reason: string): TetcdError {
  return new TetcdError(ERROR_CODES[code], `${what} ${path}: ${reason}`);
}

function missing(what: string, path: string): TetcdError {
  return refused('NOT_FOUND', what, path, 'nothing has that name');
}

function taken(what: string, path: string): TetcdError {
  return refused('ALREADY_EXISTS', what, path, 'the name is taken');
}
