// The simulated disk. It knows for each file and directory what a crash cannot take away; `crash()`
// makes the disk that is found after one: any part of what was not synced is lost, writes are torn
// between sectors, names that no directory sync covered come and go, all chosen by a seed.
//
// An *effect* is an operation that changes the disk (see `OperationKind`). Effects are numbered from
// 1, so that a test can crash at each: `crashAtEffect(n)` lets effect n and everything later fail
// with CLOSED, as if the process had died just before. A write takes part in a crash from the moment
// it is asked for; a sync counts from the moment it resolves. Crashing at n + 1 thus covers "in the
// middle of effect n".

import {
  bytesFromUtf8,
  compareBytes,
  ERROR_CODES,
  invariant,
  seededRandom,
  TetcdError,
} from '../../base/index.ts';
import {
  type DirectoryLock,
  type Disk,
  type DiskFile,
  type FileStat,
  OPEN_MODES,
  type OpenMode,
} from '../index.ts';
import { type CrashFate, FileData } from './file-data.ts';
import { PAGE_SIZE } from './limits.ts';
import { DirectoryNode, FileNode, Names, type Node } from './names.ts';
import {
  type DiskFault,
  type DiskOperation,
  failed,
  locked,
  missing,
  type OperationKind,
  Operations,
  type Schedule,
} from './operations.ts';
import { SimFile } from './sim-file.ts';
import { Space } from './space.ts';

/** What a simulated disk is made of. */
export interface SimDiskOptions {
  readonly seed: number;
  /**
   * Without it (a disk on its own, outside a simulated env) an operation completes in a later turn
   * of the real event loop, in order.
   */
  readonly schedule?: Schedule;
  /** Bytes for file contents, in whole pages of 4 KiB; DISK_FULL beyond. Unlimited by default. */
  readonly capacity?: number;
}

/** What a crash takes away. */
export interface CrashOptions {
  /** Chooses what is lost; different seeds give different outcomes of one crash. */
  readonly seed: number;
  /** `random` by default. */
  readonly unsynced?: CrashFate;
  /** For the new disk; by default the old one's. */
  readonly schedule?: Schedule;
}

/** A disk in memory that can crash, fill up and fail; everything chosen by its seed. */
export class SimDisk implements Disk {
  readonly #options: SimDiskOptions;
  readonly #operations: Operations;
  readonly #names: Names;
  readonly #space: Space;

  /** An empty disk, or (for `crash`) one with the given tree. */
  constructor(options: SimDiskOptions, names: Names = new Names(new DirectoryNode(0o755))) {
    this.#options = options;
    this.#names = names;
    const schedule: Schedule = (_delayMs, callback) => {
      setImmediate(callback);
    };
    this.#operations = new Operations(seededRandom(options.seed), options.schedule ?? schedule);
    this.#space = new Space(options.capacity ?? Number.POSITIVE_INFINITY);
    this.#space.usedPages = countPages(names.root, new Set());
  }

  // --- for tests ---------------------------------------------------------------------------------

  /** Number of effects. */
  get effectCount(): number {
    return this.#operations.effectCount;
  }

  /** Whether the disk has crashed. */
  get dead(): boolean {
    return this.#operations.dead;
  }

  /** Bytes taken by file contents. */
  get usedSize(): number {
    return this.#space.usedPages * PAGE_SIZE;
  }

  /** As `SimDiskOptions.capacity`; what is there already stays if it shrinks. */
  set capacity(capacity: number) {
    this.#space.capacity = capacity;
  }

  /** Sees each operation before it happens, and may make it fail. */
  set intercept(intercept: ((operation: DiskOperation) => DiskFault | undefined) | undefined) {
    this.#operations.intercept = intercept;
  }

  /** Extra time of an operation, such as a slow sync, in simulated milliseconds. */
  set extraLatencyMs(extraLatencyMs: ((operation: DiskOperation) => number) | undefined) {
    this.#operations.extraLatencyMs = extraLatencyMs;
  }

  /** Makes effect number `effect` fail. */
  failAtEffect(effect: number, fault: DiskFault): void {
    this.intercept = (operation) => (operation.effect === effect ? fault : undefined);
  }

  /** Effect number `effect` and everything after it will not happen. */
  crashAtEffect(effect: number): void {
    this.#operations.crashAt = effect;
  }

  /**
   * Ends this disk, if it has not ended: every operation fails with CLOSED from now on. Returns the
   * disk that the next process finds. May be called again, with another seed, for another outcome.
   */
  crash(options: CrashOptions): SimDisk {
    this.#operations.dead = true;
    return this.outcome(options);
  }

  /** What `crash` would return, while this disk stays in use. */
  outcome(options: CrashOptions): SimDisk {
    const fate = options.unsynced ?? 'random';
    const names = this.#names.afterCrash(seededRandom(options.seed), fate);
    const schedule = options.schedule ?? this.#options.schedule;
    return new SimDisk(
      {
        seed: options.seed,
        capacity: this.#space.capacity,
        ...(schedule === undefined ? {} : { schedule }),
      },
      names,
    );
  }

  /** Starts the trace of operations. */
  startTrace(): void {
    this.#operations.trace = [];
  }

  get trace(): readonly DiskOperation[] {
    return this.#operations.trace ?? [];
  }

  /** The whole content of a file, without an operation. */
  contentOf(path: string): Uint8Array {
    const { data } = this.#file(path);
    const bytes = new Uint8Array(data.size);
    data.read(bytes, 0);
    return bytes;
  }

  /** Changes the medium: what is read now and what is found after a crash, without an operation. */
  corrupt(path: string, position: number, bytes: Uint8Array): void {
    const { data } = this.#file(path);
    const before = data.pageCount;
    data.overwriteRaw(bytes, position);
    this.#space.usedPages += data.pageCount - before;
  }

  /** Bit rot. `bit` counts from 0 over the whole file. */
  flipBit(path: string, bit: number): void {
    const byte = new Uint8Array(1);
    const position = Math.floor(bit / 8);
    invariant(this.#file(path).data.read(byte, position) === 1, 'flipBit: no such bit');
    byte[0] = byte[0]! ^ (1 << (bit % 8));
    this.corrupt(path, position, byte);
  }

  // --- Disk --------------------------------------------------------------------------------------

  async open(path: string, mode: OpenMode, permissions = 0o600): Promise<DiskFile> {
    const found = this.#names.find(path);
    const mayCreate = mode === OPEN_MODES.CREATE || mode === OPEN_MODES.OPEN_OR_CREATE;
    const create = found === undefined && mayCreate;
    return await this.#call(create ? 'create' : 'open', path, () => {
      if (found?.kind === 'directory') throw failed('open', path, 'it is a directory');
      if (found !== undefined && mode === OPEN_MODES.CREATE) {
        throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, `open ${path}: the name is taken`);
      }
      let node = found;
      if (create) {
        node = new FileNode(new FileData(), permissions);
        this.#names.change([{ ...this.#names.parentOf(path, 'open'), node }]);
      }
      if (node === undefined) throw missing('open', path);
      return new SimFile({ path, node, mode }, this.#operations, this.#space, {
        rename: (from, to) => this.rename(from, to),
        link: (from, to) => this.#link(from, to),
        leadsTo: (name) => this.#names.find(name),
      });
    });
  }

  async stat(path: string): Promise<FileStat | undefined> {
    this.#operations.assertAlive('stat', path);
    const node = this.#names.find(path);
    if (node === undefined) return undefined;
    const size = node.kind === 'file' ? node.data.size : 0;
    return { kind: node.kind, size, mode: node.permissions };
  }

  async list(directory: string): Promise<string[]> {
    this.#operations.assertAlive('list', directory);
    const node = this.#names.find(directory);
    if (node === undefined) throw missing('list', directory);
    if (node.kind === 'file') throw failed('list', directory, 'it is a file');
    return [...node.live.keys()].sort((a, b) => compareBytes(bytesFromUtf8(a), bytesFromUtf8(b)));
  }

  async makeDirectory(path: string, permissions = 0o700): Promise<void> {
    await this.#call('makeDirectory', path, () => {
      const parts = path.split('/');
      for (let count = 1; count <= parts.length; count++) {
        const prefix = parts.slice(0, count).join('/');
        const found = this.#names.find(prefix);
        if (found?.kind === 'directory') continue;
        if (found !== undefined) {
          const text = `make directory ${prefix}: the name is taken`;
          throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, text);
        }
        const node = new DirectoryNode(permissions);
        this.#names.change([{ ...this.#names.parentOf(prefix, 'make directory'), node }]);
      }
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call('rename', from, () => {
      const node = this.#names.find(from);
      if (node === undefined) throw missing('rename', from);
      const source = this.#names.parentOf(from, 'rename');
      const target = this.#names.parentOf(to, 'rename');
      const replaced = target.directory.live.get(target.name);
      if (replaced === node) return;
      if (replaced?.kind === 'directory' && (node.kind === 'file' || replaced.live.size > 0)) {
        const text = `rename ${from} to ${to}: the name is taken`;
        throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, text);
      }
      if (replaced?.kind === 'file' && node.kind === 'directory') {
        throw failed('rename', to, 'a part of the path is not a directory');
      }
      this.#names.change([
        { ...source, node: undefined },
        { ...target, node },
      ]);
      this.#nameGone(replaced);
    });
  }

  async #link(from: string, to: string): Promise<void> {
    await this.#call('link', from, () => {
      const node = this.#names.find(from);
      if (node === undefined) throw missing('link', from);
      if (node.kind === 'directory') throw failed('link', from, 'it is a directory');
      const target = this.#names.parentOf(to, 'link');
      if (target.directory.live.has(target.name)) {
        const text = `link ${from} to ${to}: the name is taken`;
        throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, text);
      }
      this.#names.change([{ ...target, node }]);
    });
  }

  async remove(path: string): Promise<void> {
    await this.#call('remove', path, () => {
      const node = this.#names.find(path);
      if (node === undefined) throw missing('remove', path);
      if (node.kind === 'directory') throw failed('remove', path, 'it is a directory');
      this.#removeName(path, node);
    });
  }

  async removeTree(path: string): Promise<void> {
    this.#operations.assertAlive('remove tree', path);
    const node = this.#names.find(path);
    if (node === undefined) return;
    if (node.kind === 'directory') {
      for (const name of [...node.live.keys()].sort()) await this.removeTree(`${path}/${name}`);
    }
    await this.#call('remove', path, () => this.#removeName(path, node));
  }

  async syncDirectory(path: string): Promise<void> {
    const operation = this.#operations.begin('syncDirectory', path);
    const node = this.#names.find(path);
    if (node === undefined) throw missing('sync directory', path);
    if (node.kind === 'file') throw failed('sync directory', path, 'it is a file');
    const covered = this.#names.coveredBySync(node);
    await this.#operations.later(operation, () => this.#names.becomeDurable(covered));
  }

  async freeBytes(directory: string): Promise<number> {
    this.#operations.assertAlive('free space of', directory);
    if (this.#names.find(directory) === undefined) throw missing('free space of', directory);
    return this.#space.freeBytes;
  }

  async lockDirectory(path: string): Promise<DirectoryLock> {
    return await this.#call('lock', path, () => {
      const node = this.#names.find(path);
      if (node === undefined) throw missing('lock', path);
      if (node.kind === 'file') throw failed('lock', path, 'it is a file');
      if (node.lockHolder !== undefined) throw locked(path);
      const release = async (): Promise<void> => {
        if (node.lockHolder === lock) node.lockHolder = undefined;
      };
      const lock: DirectoryLock = { coversFiles: true, release };
      node.lockHolder = lock;
      return lock;
    });
  }

  /** Takes effect now, completes later. */
  async #call<T>(kind: OperationKind, path: string, action: () => T): Promise<T> {
    const operation = this.#operations.begin(kind, path);
    const result = action();
    return await this.#operations.later(operation, () => result);
  }

  #removeName(path: string, node: Node): void {
    this.#names.change([{ ...this.#names.parentOf(path, 'remove'), node: undefined }]);
    this.#nameGone(node);
  }

  /** A file without a name and without an opener gives its pages back. */
  #nameGone(node: Node | undefined): void {
    if (node?.kind !== 'file' || node.nameCount > 0 || node.openCount > 0) return;
    this.#space.usedPages -= node.data.pageCount;
  }

  #file(path: string): FileNode {
    const node = this.#names.find(path);
    if (node?.kind !== 'file') throw missing('look into', path);
    return node;
  }
}

function countPages(directory: DirectoryNode, seen: Set<FileNode>): number {
  let pages = 0;
  for (const node of directory.live.values()) {
    if (node.kind === 'directory') pages += countPages(node, seen);
    else if (!seen.has(node)) {
      seen.add(node);
      pages += node.data.pageCount;
    }
  }
  return pages;
}
