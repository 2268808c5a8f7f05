// Files of raft snapshots, `<term>-<index>.snap`, both as 16 hexadecimal digits:
//
//   snappb.snapshot { crc 1: CRC-32C of data, data 2: an encoded raftpb.Snapshot }
//
// The raft snapshot's data are the membership (etcd's v2 store as JSON), never the keys, which are in
// the database. A database received from the leader is kept as `<index>.snap.db` until it replaces the
// member's own.

import {
  crc32c,
  ERROR_CODES,
  hasCode,
  invariant,
  type LogIndex,
  TetcdError,
} from '../base/index.ts';
import { type Disk, OPEN_MODES } from '../env/index.ts';
import { raftpb, snappb, type walpb } from '../protocol/index.ts';
import { hex16 } from './segment-name.ts';

const SNAP_SUFFIX = '.snap';
const BROKEN_SUFFIX = '.broken';
const DATABASE_SUFFIX = '.snap.db';
/** Files that are being written or received begin with this; a crash leaves them behind. */
const TEMPORARY_PREFIX = 'tmp';
/** The same for a database that is being defragmented. */
const DEFRAGMENT_PREFIX = 'db.tmp';
/** etcd's; the directory is closed to others. */
const PERMISSIONS = 0o666;

/** Callbacks for logs and metrics, called after the file was renamed or removed. Must not throw. */
export interface SnapObserver {
  /** A file that could not be read was renamed to `<path>.broken`. */
  setAside?(path: string, error: TetcdError): void;
  removed?(path: string): void;
}

/** Measures the writing of a file. */
export interface SnapTimer {
  nowMs(): number;
  /** The file was encoded, and written and synced, in so many milliseconds. */
  wrote(marshalMs: number, syncMs: number): void;
}

/** A parsed name of a `.snap` file. */
export interface SnapName {
  readonly name: string;
  readonly term: number;
  readonly index: LogIndex;
}

/** The name of the `.snap` file of a snapshot. */
export function snapName(term: number, index: LogIndex): string {
  return `${hex16(term)}-${hex16(index)}${SNAP_SUFFIX}`;
}

/** Path of the database received with the snapshot at `index`. */
export function snapDatabasePath(directory: string, index: LogIndex): string {
  return `${directory}/${hex16(index)}${DATABASE_SUFFIX}`;
}

/**
 * Writes the file atomically; durable when it resolves, its name too. Resolves with its path. Throws
 * DISK_FULL, DISK_FAILED.
 */
export async function writeSnapFile(
  disk: Disk,
  directory: string,
  snapshot: raftpb.Snapshot,
  timer?: SnapTimer,
): Promise<string> {
  const beganMs = timer?.nowMs() ?? 0;
  const { metadata } = snapshot;
  invariant(metadata !== undefined && metadata.index > 0, 'a snapshot file needs an index');
  const data = raftpb.SnapshotCodec.encode(snapshot);
  const bytes = snappb.SnapshotCodec.encode({ crc: crc32c(0, data), data });
  const name = snapName(metadata.term, metadata.index);
  const path = `${directory}/${name}`;
  const temporary = `${directory}/${TEMPORARY_PREFIX}-${name}`;
  const encodedMs = timer?.nowMs() ?? 0;
  const file = await disk.open(temporary, OPEN_MODES.OPEN_OR_CREATE, PERMISSIONS);
  try {
    await file.truncate(0);
    await file.write([bytes], 0);
    await file.sync();
  } catch (error) {
    await file.close();
    await disk.remove(temporary).catch(() => {});
    throw error;
  }
  await file.close();
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
  timer?.wrote(encodedMs - beganMs, timer.nowMs() - encodedMs);
  return path;
}

/** Reads a file. Throws NOT_FOUND, CORRUPT (naming it), DISK_FAILED. */
export async function readSnapFile(disk: Disk, path: string): Promise<raftpb.Snapshot> {
  const file = await disk.open(path, OPEN_MODES.READ);
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(file.size());
    bytes = bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
  return decodeSnapFile(bytes, path);
}

function decodeSnapFile(bytes: Uint8Array, path: string): raftpb.Snapshot {
  try {
    const { crc, data } = snappb.SnapshotCodec.decode(bytes);
    if (data.length === 0 || crc === 0) throw corrupt(path, 'empty snapshot');
    const found = crc32c(0, data);
    if (found !== crc) throw corrupt(path, `crc mismatch: ${hex(crc)} stored, ${hex(found)} found`);
    return raftpb.SnapshotCodec.decode(data);
  } catch (error) {
    if (hasCode(error, ERROR_CODES.MALFORMED) || hasCode(error, ERROR_CODES.NUMBER_TOO_LARGE)) {
      throw corrupt(path, error.message, error);
    }
    throw error;
  }
}

function corrupt(path: string, what: string, cause?: unknown): TetcdError {
  return new TetcdError(ERROR_CODES.CORRUPT, `snap: ${path}: ${what}`, { cause });
}

function hex(value: number): string {
  return value.toString(16);
}

/** Names of snapshot files, newest (by term, then index) first. */
export async function listSnapFiles(disk: Disk, directory: string): Promise<SnapName[]> {
  const found: SnapName[] = [];
  for (const name of await disk.list(directory)) {
    const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/.exec(name);
    if (match === null) continue;
    const [term, index] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)];
    found.push({ name, term, index });
  }
  return found.reverse();
}

/** A `.snap` file whose checksum is right, with its decoded content. */
export interface FoundSnap {
  readonly path: string;
  readonly snapshot: raftpb.Snapshot;
}

/**
 * The newest file that can be read and, if `among` is given, is one of those snapshots; undefined if
 * there is none. A file that cannot be read is renamed to `.broken` and skipped.
 */
export async function newestSnapFile(
  disk: Disk,
  directory: string,
  options: {
    readonly among?: readonly walpb.Snapshot[];
    readonly observer?: SnapObserver;
  } = {},
): Promise<FoundSnap | undefined> {
  for (const { name } of await listSnapFiles(disk, directory)) {
    const path = `${directory}/${name}`;
    try {
      const snapshot = await readSnapFile(disk, path);
      if (options.among === undefined || isAmong(snapshot, options.among)) {
        return { path, snapshot };
      }
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.CORRUPT)) throw error;
      await disk.rename(path, path + BROKEN_SUFFIX);
      options.observer?.setAside?.(path, error);
    }
  }
  return undefined;
}

function isAmong({ metadata }: raftpb.Snapshot, among: readonly walpb.Snapshot[]): boolean {
  const term = metadata?.term ?? 0;
  const index = metadata?.index ?? 0;
  return among.some((snapshot) => snapshot.term === term && snapshot.index === index);
}

/** Removes files that a crash left half written or half received. Only before anything is written here. */
export async function cleanSnapDirectory(
  disk: Disk,
  directory: string,
  observer?: SnapObserver,
): Promise<void> {
  for (const name of await disk.list(directory)) {
    if (!name.startsWith(TEMPORARY_PREFIX) && !name.startsWith(DEFRAGMENT_PREFIX)) continue;
    await disk.remove(`${directory}/${name}`);
    observer?.removed?.(`${directory}/${name}`);
  }
}

/** Removes received databases of snapshots before `index`, which are no longer needed. */
export async function removeSnapDatabases(
  disk: Disk,
  directory: string,
  index: LogIndex,
  observer?: SnapObserver,
): Promise<void> {
  for (const name of await disk.list(directory)) {
    const match = /^([0-9a-f]{16})\.snap\.db$/.exec(name);
    if (match === null || Number.parseInt(match[1]!, 16) >= index) continue;
    await disk.remove(`${directory}/${name}`);
    observer?.removed?.(`${directory}/${name}`);
  }
}

/**
 * Removes the oldest `.snap` files until `keep` are left, and so for `.snap.db`, of which those above
 * `coveredIndex` stay: they may be about to be installed. Returns how many.
 */
export async function purgeSnapFiles(
  disk: Disk,
  directory: string,
  keep: number,
  coveredIndex: LogIndex,
  observer?: SnapObserver,
): Promise<number> {
  invariant(keep >= 1, 'the newest snapshot is never purged');
  const names = await disk.list(directory);
  let removed = 0;
  for (const suffix of [SNAP_SUFFIX, DATABASE_SUFFIX]) {
    const found = names.filter((name) => name.endsWith(suffix));
    for (const name of found.slice(0, Math.max(0, found.length - keep))) {
      if (suffix === DATABASE_SUFFIX && !(Number.parseInt(name, 16) <= coveredIndex)) continue;
      await disk.remove(`${directory}/${name}`);
      observer?.removed?.(`${directory}/${name}`);
      removed++;
    }
  }
  invariant(removed <= names.length, 'files that are removed were listed');
  return removed;
}
