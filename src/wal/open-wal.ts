// Opens a log: for appending, which repairs its tail, or for reading only, which changes nothing.

import { invariant, type LogIndex, type Term } from '../base/index.ts';
import { type DirectoryLock, type DiskFile, OPEN_MODES } from '../env/index.ts';
import type { raftpb, walpb } from '../protocol/index.ts';
import { findBehindEnd } from './behind-end.ts';
import { corrupt } from './corrupt.ts';
import { READ_BLOCK_SIZE, TORN_REACH_MAX } from './limits.ts';
import { assertComplete, LogReader, metadataOf, type OpenSegment } from './log-reader.ts';
import { syncFile } from './observe.ts';
import {
  assertContiguous,
  closeAll,
  listSegments,
  openSegments,
  selectSegments,
} from './segments.ts';
import type { WalContent, WalEnv, WalOptions, WalPosition, WalRepair } from './types.ts';
import { Wal } from './wal.ts';

const BROKEN_SUFFIX = '.broken';

/** A log open for appending, and what it holds. */
export interface OpenedWal extends WalContent {
  readonly wal: Wal;
  /** Set if a torn tail was cut off. */
  readonly repair: WalRepair | undefined;
}

/** A log as it was found, before anything in it is changed. */
export interface FoundLog extends WalContent {
  /** Index of the newest entry or snapshot. */
  readonly lastIndex: LogIndex;
  /** File and offset where the log ends: what follows is cut off. */
  readonly end: string;
  /**
   * The largest commit index of hard states behind the end; 0 if there is none. One above `lastIndex`
   * is no contradiction in a cluster of several members: a quorum may have committed what is torn here.
   */
  readonly commitBehindEnd: LogIndex;
}

/**
 * Opens the log for appending, and reads what follows `start`, which must be the beginning or a
 * snapshot whose record is in the log; of a log that was scanned from there, what the scan has not seen.
 * A torn tail is cut off, after a copy of the segment; what
 * follows the last record is zeroed, so that no later, shorter record exposes it. `approve` sees the
 * log before that, and by throwing leaves it as it is.
 *
 * Throws NOT_FOUND (no log, no such snapshot), LOCKED (another process has it), CORRUPT (with file and
 * offset; nothing is changed), DISK_FULL, DISK_FAILED.
 */
export async function openWal(
  env: WalEnv,
  directory: string,
  start: WalPosition | LogScan,
  options: WalOptions = {},
  approve: (found: FoundLog) => void = () => undefined,
): Promise<OpenedWal> {
  const lock = await env.disk.lockDirectory(directory);
  try {
    return await openLocked(env, { directory, lock }, start, options, approve);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openLocked(
  env: WalEnv,
  { directory, lock }: { readonly directory: string; readonly lock: DirectoryLock },
  start: WalPosition | LogScan,
  options: WalOptions,
  approve: (found: FoundLog) => void,
): Promise<OpenedWal> {
  const all = await listSegments(env, directory, options.observer);
  const names = selectSegments(all, start, directory);
  const segments = await openSegments(env, directory, names, lock);
  try {
    const reader = readerFor(start, segments);
    await reader.read(segments);
    assertComplete(reader, directory, start);
    const tail = segments[segments.length - 1]!;
    const { offset } = reader;
    invariant(tail.path === reader.path, 'a log ends in its last segment');
    const zerosFrom = await findZeros(tail.file, offset);
    invariant(zerosFrom >= offset, 'zeros follow the end of the log');
    approve(await foundLog(reader, tail, zerosFrom));
    await removePrepared(env, directory);
    const torn = reader.ending === 'torn';
    const brokenPath = torn ? await copyTorn(env, tail, options) : '';
    await zeroTail(env, tail, { offset, zerosFrom }, options);
    const repair = torn ? { path: tail.path, brokenPath, offset } : undefined;
    if (repair !== undefined) options.observer?.repaired?.(repair);
    const metadata = metadataOf(reader);
    const { crc, lastIndex, hardState, entries } = reader;
    const wal = new Wal(
      env,
      directory,
      { lock, metadata, segments, offset, crc, lastIndex, hardState },
      options,
    );
    return { wal, metadata, hardState, entries, repair };
  } catch (error) {
    await closeAll(segments.map((segment) => segment.file));
    throw error;
  }
}

/** Another process may have had the log since the scan, and removed the segment where it ended. */
function readerFor(start: WalPosition | LogScan, segments: readonly OpenSegment[]): LogReader {
  const goesOn = start instanceof LogScan && start.reader.nextOf(segments) >= 0;
  return goesOn ? start.reader : new LogReader(start);
}

/** CORRUPT if more records follow the end than one write can hold. */
async function foundLog(
  reader: LogReader,
  tail: OpenSegment,
  zerosFrom: number,
): Promise<FoundLog> {
  const { lastIndex, hardState, entries, offset } = reader;
  const behind = await findBehindEnd(tail, offset, zerosFrom);
  if (behind.reach > TORN_REACH_MAX) {
    const text = `the log breaks off, but intact records follow for ${behind.reach} bytes`;
    throw corrupt(tail.path, offset, text);
  }
  const end = `${tail.path} at offset ${offset}`;
  const commitBehindEnd = behind.commit;
  return { metadata: metadataOf(reader), hardState, entries, lastIndex, end, commitBehindEnd };
}

/**
 * Reads what follows `position` and changes nothing; a torn tail is ignored. Throws NOT_FOUND, CORRUPT,
 * DISK_FAILED.
 */
export async function readWal(
  env: WalEnv,
  directory: string,
  position: WalPosition,
): Promise<WalContent> {
  const names = selectSegments(await listSegments(env, directory), position, directory);
  const reader = await readSegments(env, directory, names, new LogReader(position));
  assertComplete(reader, directory, position);
  const { hardState, entries } = reader;
  return { metadata: metadataOf(reader), hardState, entries };
}

/** The content of a whole log, without its entries. */
export interface WalSummary {
  readonly metadata: Uint8Array;
  readonly hardState: raftpb.HardState;
  /** Snapshot records that count: those up to the commit of the hard state; oldest first. */
  readonly validSnapshots: walpb.Snapshot[];
}

/**
 * Reads every segment and lists the snapshots to start from. A record counts only if the newest hard state
 * has committed its index: a crash may lie between the two. Throws as `readWal`.
 */
export async function summarizeWal(env: WalEnv, directory: string): Promise<WalSummary> {
  const names = await listSegments(env, directory);
  assertContiguous(names, directory);
  const nowhere = { index: 0, term: 0 };
  const reader = await readSegments(
    env,
    directory,
    names,
    new LogReader(nowhere, { keepEntries: false }),
  );
  const { hardState } = reader;
  invariant(reader.entries.length === 0, 'a summary keeps no entries');
  return { metadata: metadataOf(reader), hardState, validSnapshots: validSnapshotsOf(reader) };
}

function validSnapshotsOf({ snapshots, hardState }: LogReader): walpb.Snapshot[] {
  return snapshots.filter((snapshot) => snapshot.index <= hardState.commit);
}

/**
 * What follows a position, read without the lock. A member learns from it where its log is to be read
 * from, and has then read it: `openWal` takes it, once, and reads what was appended since.
 */
export class LogScan implements WalPosition {
  readonly index: LogIndex;
  readonly term: Term;
  /** As in {@link WalSummary}, in the segments that hold what follows the position. */
  readonly validSnapshots: readonly walpb.Snapshot[];
  /** @internal */
  readonly reader: LogReader;

  /** @internal Through {@link scanWal}. */
  constructor({ index, term }: WalPosition, reader: LogReader) {
    this.index = index;
    this.term = term;
    this.reader = reader;
    this.validSnapshots = validSnapshotsOf(reader);
  }
}

/** Reads what follows `position`, of which there need not be a record. Throws as `readWal`. */
export async function scanWal(
  env: WalEnv,
  directory: string,
  position: WalPosition,
): Promise<LogScan> {
  const all = await listSegments(env, directory);
  const first = all.findLastIndex(({ firstIndex }) => firstIndex <= position.index);
  const names = all.slice(Math.max(0, first));
  assertContiguous(names, directory);
  const reader = await readSegments(env, directory, names, new LogReader(position));
  return new LogScan(position, reader);
}

/** As `summarizeWal`, the snapshots only. etcd's `ValidSnapshotEntries`. */
export async function validSnapshots(env: WalEnv, directory: string): Promise<walpb.Snapshot[]> {
  return (await summarizeWal(env, directory)).validSnapshots;
}

async function readSegments(
  env: WalEnv,
  directory: string,
  names: Parameters<typeof openSegments>[2],
  reader: LogReader,
): Promise<LogReader> {
  const segments = await openSegments(env, directory, names);
  try {
    await reader.read(segments);
  } finally {
    await closeAll(segments.map((segment) => segment.file));
  }
  return reader;
}

/** Removes next segments that were prepared and not used. */
async function removePrepared(env: WalEnv, directory: string): Promise<void> {
  for (const name of await env.disk.list(directory)) {
    if (/^[01]\.tmp$/.test(name)) await env.disk.remove(`${directory}/${name}`);
  }
}

/** Keeps a copy of the torn segment, durable before the segment is changed. Returns its path. */
async function copyTorn(
  env: WalEnv,
  { file, path }: OpenSegment,
  options: WalOptions,
): Promise<string> {
  const brokenPath = path + BROKEN_SUFFIX;
  const copy = await env.disk.open(brokenPath, OPEN_MODES.OPEN_OR_CREATE);
  try {
    await copy.truncate(0);
    const size = file.size();
    for (let at = 0; at < size; at += READ_BLOCK_SIZE) {
      const block = new Uint8Array(Math.min(READ_BLOCK_SIZE, size - at));
      await file.read(block, at);
      await copy.write([block], at);
    }
    await syncFile(env, copy, options);
  } finally {
    await copy.close();
  }
  return brokenPath;
}

/**
 * Fills the segment with zeros from `offset` on. Synced before anything is appended: otherwise a crash
 * could keep a new record and restore what followed it before.
 */
async function zeroTail(
  env: WalEnv,
  { file }: OpenSegment,
  { offset, zerosFrom }: { readonly offset: number; readonly zerosFrom: number },
  options: WalOptions,
): Promise<void> {
  if (zerosFrom === offset) return;
  invariant(zerosFrom <= file.size(), 'what is zeroed is in the file');
  await file.zeroFill(offset, zerosFrom);
  await syncFile(env, file, options);
}

/** Offset from which on only zeros follow, rounded up to a block; `offset` if there are only zeros. */
async function findZeros(file: DiskFile, offset: number): Promise<number> {
  const size = file.size();
  const block = new Uint8Array(Math.min(READ_BLOCK_SIZE, Math.max(0, size - offset)));
  const zeros = new Uint8Array(block.length);
  let zerosFrom = offset;
  for (let at = offset; at < size; at += block.length) {
    const part = block.subarray(0, Math.min(block.length, size - at));
    const count = await file.read(part, at);
    invariant(count === part.length, 'wal: the segment became shorter while it was opened');
    // A megabyte in 0.1 ms; a loop over the bytes takes ten times that, for 64 of them at each boot.
    if (Buffer.compare(part, zeros.subarray(0, count)) !== 0) zerosFrom = at + count;
  }
  return zerosFrom;
}
