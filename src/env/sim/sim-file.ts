// An open file of the simulated disk.

import { ERROR_CODES, equalBytes, fail, invariant, TetcdError, verify } from '../../base/index.ts';
import { type DirectoryLock, type DiskFile, OPEN_MODES, type OpenMode } from '../index.ts';
import { PAGE_SIZE, SECTOR_SIZE } from './limits.ts';
import type { FileNode, Node } from './names.ts';
import {
  type DiskOperation,
  failed,
  full,
  locked,
  type OperationKind,
  type Operations,
} from './operations.ts';
import type { Space } from './space.ts';

/** What a disk does with the names of an open file. */
interface FileNames {
  rename(from: string, to: string): Promise<void>;
  link(from: string, to: string): Promise<void>;
  leadsTo(path: string): Node | undefined;
}

export class SimFile implements DiskFile {
  #path: string;
  readonly #operations: Operations;
  readonly #space: Space;
  readonly #node: FileNode;
  readonly #mayWrite: boolean;
  /** Of the disk. The lock is the file's, so it goes along. */
  readonly #names: FileNames;
  #closing = false;
  #callsUnderWay = 0;
  #onIdle: (() => void) | undefined;

  constructor(
    opened: { readonly path: string; readonly node: FileNode; readonly mode: OpenMode },
    operations: Operations,
    space: Space,
    names: FileNames,
  ) {
    this.#path = opened.path;
    this.#node = opened.node;
    this.#mayWrite = opened.mode !== OPEN_MODES.READ;
    this.#operations = operations;
    this.#space = space;
    this.#names = names;
    this.#node.openCount++;
  }

  get path(): string {
    return this.#path;
  }

  size(): number {
    this.#assertOpen('size of');
    return this.#node.data.size;
  }

  isNamed(): boolean {
    this.#assertOpen('names of');
    return this.#node.nameCount > 0;
  }

  readSync(target: Uint8Array, position: number): number {
    this.#assertOpen('read');
    this.#operations.begin('read', this.path, position, target.length);
    return this.#node.data.read(target, position);
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#call(
      'read',
      position,
      target.length,
      () => () => this.#node.data.read(target, position),
    );
  }

  writeSync(bytes: Uint8Array, position: number): void {
    this.#assertMayWrite('write');
    const operation = this.#operations.number('write', this.path, position, bytes.length);
    const failure = this.#writeNow(bytes, operation);
    if (failure !== undefined) throw failure;
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = joined(chunks);
    if (bytes.length === 0) return this.#assertMayWrite('write');
    await this.#call('write', position, bytes.length, (operation) => {
      const failure = this.#writeNow(bytes, operation);
      return () => {
        if (failure !== undefined) throw failure;
        if (verify.all && !equalBytes(joined(chunks), bytes)) {
          fail(`SimFile.write ${this.path}: the bytes were changed before the write was done`);
        }
      };
    });
  }

  async sync(): Promise<void> {
    this.#assertOpen('sync');
    const mark = this.#node.data.mark();
    const operation = this.#operations.number('sync', this.path, 0, 0);
    await this.#underWay(operation, () => {
      const failure = this.#operations.faultOf(operation);
      if (failure === undefined) return this.#node.data.becomeDurable(mark);
      this.#node.data.syncFailed(mark, this.#operations.random);
      throw failure;
    });
  }

  /** Takes no time, so only where none was asked for; by chance, so that both ways are tried. */
  maybeSyncNow(): boolean {
    this.#assertOpen('sync');
    if (!this.#operations.mayTakeNoTime('sync', this.path)) return false;
    const mark = this.#node.data.mark();
    const operation = this.#operations.number('sync', this.path, 0, 0);
    const failure = this.#operations.faultOf(operation);
    if (failure === undefined) this.#node.data.becomeDurable(mark);
    else {
      this.#node.data.syncFailed(mark, this.#operations.random);
      throw failure;
    }
    return true;
  }

  async truncate(size: number): Promise<void> {
    this.#assertMayWrite('truncate');
    await this.#call('truncate', size, 0, () => {
      this.#counted(() => this.#node.data.truncate(size));
      return () => {};
    });
  }

  async zeroFill(from: number, to: number): Promise<void> {
    if (from >= to) return this.#assertMayWrite('zero-fill');
    await this.#call('zeroFill', from, to - from, (operation) => {
      const failure = this.#writeNow(undefined, operation);
      return () => {
        if (failure !== undefined) throw failure;
      };
    });
  }

  async lock(directory?: DirectoryLock): Promise<void> {
    await this.#call('lock', 0, 0, () => {
      invariant(this.#node.lockHolder !== this, 'DiskFile.lock: locked already');
      if (this.#node.lockHolder !== undefined) throw locked(this.path);
      if (directory?.coversFiles !== true) this.#node.lockHolder = this;
      return () => {};
    });
  }

  async rename(to: string): Promise<void> {
    this.#assertOpen('rename');
    this.#callsUnderWay++;
    try {
      await this.#names.rename(this.#path, to);
      this.#path = to;
    } finally {
      this.#callFinished();
    }
  }

  async link(name: string): Promise<void> {
    this.#assertOpen('link');
    this.#callsUnderWay++;
    try {
      await this.#names.link(this.#path, name);
    } finally {
      this.#callFinished();
    }
  }

  goBy(name: string): void {
    this.#assertOpen('go by');
    invariant(this.#names.leadsTo(name) === this.#node, 'a file goes by a name of its own');
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
    const node = this.#node;
    if (node.lockHolder === this) node.lockHolder = undefined;
    node.openCount--;
    if (node.openCount === 0 && node.nameCount === 0) {
      this.#space.usedPages -= node.data.pageCount;
    }
  }

  #assertOpen(what: string): void {
    if (this.#closing) {
      throw new TetcdError(ERROR_CODES.CLOSED, `${what} ${this.path}: the file is closed`);
    }
  }

  #assertMayWrite(what: string): void {
    this.#assertOpen(what);
    if (!this.#mayWrite) throw failed(what, this.path, 'opened for reading only');
  }

  /** `start` takes effect now and returns what is done on completion. */
  async #call<T>(
    kind: OperationKind,
    position: number,
    size: number,
    start: (operation: DiskOperation) => () => T,
  ): Promise<T> {
    this.#assertOpen(kind);
    if (kind === 'write' || kind === 'zeroFill') {
      this.#assertMayWrite(kind);
      const operation = this.#operations.number(kind, this.path, position, size);
      return await this.#underWay(operation, start(operation));
    }
    const operation = this.#operations.begin(kind, this.path, position, size);
    return await this.#underWay(operation, start(operation));
  }

  async #underWay<T>(operation: DiskOperation, action: () => T): Promise<T> {
    this.#callsUnderWay++;
    try {
      return await this.#operations.later(operation, action);
    } finally {
      this.#callFinished();
    }
  }

  #callFinished(): void {
    this.#callsUnderWay--;
    if (this.#callsUnderWay === 0) this.#onIdle?.();
  }

  /** Writes the bytes, or zeros; if it fails, some of them. */
  #writeNow(bytes: Uint8Array | undefined, operation: DiskOperation): TetcdError | undefined {
    const { position, size } = operation;
    let failure = this.#operations.faultOf(operation);
    let written = size;
    if (failure !== undefined) {
      written = Math.min(size, this.#operations.random.below(size + 1) & -SECTOR_SIZE);
    } else if (!this.#space.hasRoomFor(this.#node.data.pagesMissing(position, size))) {
      failure = full(operation.kind, this.path);
      written = this.#sizeThatFits(position, size);
    }
    this.#counted(() => {
      if (bytes === undefined) this.#node.data.zeroFill(position, written);
      else this.#node.data.write(bytes.subarray(0, written), position);
    });
    return failure;
  }

  #sizeThatFits(position: number, size: number): number {
    let fits = 0;
    while (fits < size) {
      const next = Math.min(size, fits + PAGE_SIZE - ((position + fits) % PAGE_SIZE));
      if (!this.#space.hasRoomFor(this.#node.data.pagesMissing(position, next))) break;
      fits = next;
    }
    return fits;
  }

  #counted(change: () => void): void {
    const before = this.#node.data.pageCount;
    change();
    this.#space.usedPages += this.#node.data.pageCount - before;
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
