// The names of the simulated disk: directories, and the journal of name changes that no directory
// sync has covered yet.

import { ERROR_CODES, type Random, TetcdError } from '../../base/index.ts';
import type { CrashFate, FileData } from './file-data.ts';

export class FileNode {
  readonly kind = 'file';
  readonly data: FileData;
  readonly permissions: number;
  /** The holder of the lock; any object with an identity. */
  lockHolder: object | undefined;
  openCount = 0;
  /** Names that lead here. */
  nameCount = 0;

  constructor(data: FileData, permissions: number) {
    this.data = data;
    this.permissions = permissions;
  }
}

export class DirectoryNode {
  readonly kind = 'directory';
  readonly permissions: number;
  readonly live = new Map<string, Node>();
  readonly durable = new Map<string, Node>();
  /** As of a file. */
  lockHolder: object | undefined;

  constructor(permissions: number) {
    this.permissions = permissions;
  }
}

export type Node = FileNode | DirectoryNode;

interface NameChange {
  readonly directory: DirectoryNode;
  readonly name: string;
  /** Undefined: the name is removed. */
  readonly node: Node | undefined;
}

/** Changes of one operation: all of them survive a crash, or none. */
type Operation = readonly NameChange[];

export class Names {
  readonly root: DirectoryNode;
  #journal: Operation[] = [];

  constructor(root: DirectoryNode) {
    this.root = root;
  }

  /** The node of that path. */
  find(path: string): Node | undefined {
    let node: Node = this.root;
    for (const name of partsOf(path)) {
      if (node.kind !== 'directory') return undefined;
      const next = node.live.get(name);
      if (next === undefined) return undefined;
      node = next;
    }
    return node;
  }

  /** The parent directory of the path. Throws NOT_FOUND. */
  parentOf(path: string, operation: string): { directory: DirectoryNode; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    const directory = this.find(parts.join('/'));
    if (name === undefined || directory === undefined || directory.kind !== 'directory') {
      throw new TetcdError(ERROR_CODES.NOT_FOUND, `${operation} ${path}: nothing has that name`);
    }
    return { directory, name };
  }

  change(operation: Operation): void {
    for (const { directory, name, node } of operation) {
      const before = directory.live.get(name);
      if (before?.kind === 'file') before.nameCount--;
      if (node?.kind === 'file') node.nameCount++;
      if (node === undefined) directory.live.delete(name);
      else directory.live.set(name, node);
    }
    this.#journal.push(operation);
  }

  /**
   * What a sync of the directory that begins now covers. An operation on two directories includes
   * the earlier ones of the other: a name must not go back to an older meaning.
   */
  coveredBySync(directory: DirectoryNode): ReadonlySet<Operation> {
    const involved = new Set([directory]);
    const covered = new Set<Operation>();
    for (let i = this.#journal.length - 1; i >= 0; i--) {
      const operation = this.#journal[i]!;
      if (!operation.some((change) => involved.has(change.directory))) continue;
      covered.add(operation);
      for (const change of operation) involved.add(change.directory);
    }
    return covered;
  }

  becomeDurable(covered: ReadonlySet<Operation>): void {
    for (const operation of this.#journal) if (covered.has(operation)) applyDurably(operation);
    this.#journal = this.#journal.filter((operation) => !covered.has(operation));
  }

  /** Operations that have not become durable yet. */
  get pendingCount(): number {
    return this.#journal.length;
  }

  /** What a crash leaves: a tree of its own. */
  afterCrash(random: Random, fate: CrashFate): Names {
    const overrides = new Map<DirectoryNode, Map<string, Node | undefined>>();
    for (const operation of this.#choose(random, fate)) {
      for (const { directory, name, node } of operation) {
        const names = overrides.get(directory) ?? new Map<string, Node | undefined>();
        overrides.set(directory, names.set(name, node));
      }
    }
    const copies = new Map<FileNode, FileNode>();
    const copyFile = (file: FileNode): FileNode => {
      let copy = copies.get(file);
      if (copy === undefined) {
        copy = new FileNode(file.data.afterCrash(random, fate), file.permissions);
        copies.set(file, copy);
      }
      copy.nameCount++;
      return copy;
    };
    const copyDirectory = (directory: DirectoryNode): DirectoryNode => {
      const copy = new DirectoryNode(directory.permissions);
      const names = new Map<string, Node | undefined>(directory.durable);
      for (const [name, node] of overrides.get(directory) ?? []) names.set(name, node);
      // Sorted, so that the outcome depends on the seed and not on the order of insertion.
      for (const name of [...names.keys()].sort()) {
        const node = names.get(name);
        if (node === undefined) continue;
        const copied = node.kind === 'file' ? copyFile(node) : copyDirectory(node);
        copy.live.set(name, copied);
        copy.durable.set(name, copied);
      }
      return copy;
    };
    return new Names(copyDirectory(this.root));
  }

  /** None, all, a prefix (what a journalling file system leaves) or any subset. */
  #choose(random: Random, fate: CrashFate): Operation[] {
    if (fate === 'lost') return [];
    if (fate === 'kept') return this.#journal;
    const mode = random.below(4);
    if (mode === 0) return [];
    if (mode === 1) return this.#journal;
    if (mode === 2) return this.#journal.slice(0, random.below(this.#journal.length + 1));
    return this.#journal.filter(() => random.below(2) === 0);
  }
}

function applyDurably(operation: Operation): void {
  for (const { directory, name, node } of operation) {
    if (node === undefined) directory.durable.delete(name);
    else directory.durable.set(name, node);
  }
}

/** The names along a path. Relative paths begin at the root. */
function partsOf(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}
