// Creates a log so that it is there wholly or not at all: the first segment is made in a staging
// directory beside the final one, which is then renamed. Its lock goes along, so that the log is never
// there without it.

import { ERROR_CODES, hasCode, invariant, TetcdError } from '../base/index.ts';
import { type DirectoryLock, type DiskFile, OPEN_MODES } from '../env/index.ts';
import { raftpb, walpb } from '../protocol/index.ts';
import { FrameBuffer } from './frame-buffer.ts';
import { FILL_SIZE_DEFAULT, SEGMENT_SIZE_DEFAULT } from './limits.ts';
import { syncFile, syncNames } from './observe.ts';
import { RECORD_TYPES } from './record-types.ts';
import { parseSegmentName, segmentName } from './segment-name.ts';
import { parentOf, TEMPORARY_SUFFIX, walExists } from './segments.ts';
import type { WalEnv, WalOptions } from './types.ts';
import { putSegmentHead, Wal } from './wal.ts';

const FIRST_NAME = segmentName(0, 0);

/**
 * A new log in `directory`, whose parent must exist; a directory there without a log is replaced.
 * `metadata` (kept) is repeated at the head of every segment and given back by `openWal`. Throws
 * ALREADY_EXISTS if there is a log, LOCKED if another process is making one, DISK_FULL, DISK_FAILED. Layout
 * as etcd's `server/storage/wal` v3.7.1.
 */
export async function createWal(
  env: WalEnv,
  directory: string,
  metadata: Uint8Array,
  options: WalOptions = {},
): Promise<Wal> {
  await mustBeFree(env, directory);
  const { disk } = env;
  const staging = `${directory}${TEMPORARY_SUFFIX}`;
  const frames = firstFrames(metadata);
  await disk.makeDirectory(staging);
  const lock = await disk.lockDirectory(staging);
  let file: DiskFile | undefined;
  try {
    // Again: until now another process may have made one.
    await mustBeFree(env, directory);
    // What a creation that was cut off has left.
    for (const name of await disk.list(staging)) await disk.removeTree(`${staging}/${name}`);
    file = await disk.open(`${staging}/${FIRST_NAME}`, OPEN_MODES.CREATE);
    await file.zeroFill(0, Math.max(firstFillOf(options), frames.length));
    await file.write([frames.bytes.subarray(0, frames.length)], 0);
    await syncFile(env, file, options);
    await syncNames(env, staging, options);
    await disk.removeTree(directory);
    file = await renameStaging(env, staging, directory, file);
    await file.lock(lock);
    await makeNameDurable(env, directory, file, options);
  } catch (error) {
    await file?.close();
    await disk.removeTree(staging).catch(() => {});
    await lock.release();
    throw error;
  }
  return begun(env, { directory, lock, file }, { metadata, frames }, options);
}

async function mustBeFree(env: WalEnv, directory: string): Promise<void> {
  if (!(await walExists(env, directory))) return;
  throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, `wal: ${directory} has a log already`);
}

function firstFrames(metadata: Uint8Array): FrameBuffer {
  const frames = new FrameBuffer(0);
  putSegmentHead(frames, metadata);
  const origin = walpb.SnapshotCodec.encode(walpb.SnapshotCodec.create());
  frames.record(RECORD_TYPES.SNAPSHOT, origin);
  return frames;
}

function begun(
  env: WalEnv,
  made: { readonly directory: string; readonly lock: DirectoryLock; readonly file: DiskFile },
  content: { readonly metadata: Uint8Array; readonly frames: FrameBuffer },
  options: WalOptions,
): Wal {
  const { directory, lock, file } = made;
  const { metadata, frames } = content;
  const name = parseSegmentName(FIRST_NAME);
  invariant(name?.sequence === 0 && name.firstIndex === 0, 'the first segment begins the log');
  invariant(file.size() >= frames.length, 'the first segment holds its head');
  const segment = { name, path: `${directory}/${FIRST_NAME}`, file };
  return new Wal(
    env,
    directory,
    {
      lock,
      metadata,
      segments: [segment],
      offset: frames.length,
      crc: frames.crc,
      lastIndex: 0,
      hardState: raftpb.HardStateCodec.create(),
    },
    options,
  );
}

/** Bytes filled before the start: a disk that is already full fails it. The rest is filled later. */
function firstFillOf(options: WalOptions): number {
  const segmentSize = options.segmentSize ?? SEGMENT_SIZE_DEFAULT;
  return Math.min(segmentSize, options.fillSize ?? FILL_SIZE_DEFAULT);
}

/** Returns the segment, opened under its final name. */
async function renameStaging(
  env: WalEnv,
  staging: string,
  directory: string,
  file: DiskFile,
): Promise<DiskFile> {
  try {
    await env.disk.rename(staging, directory);
  } catch (error) {
    if (!hasCode(error, ERROR_CODES.DISK_FAILED)) throw error;
    // Windows and some network file systems do not rename a directory with an open file in it.
    await file.close();
    await env.disk.rename(staging, directory);
  }
  const opened = await env.disk.open(`${directory}/${FIRST_NAME}`, OPEN_MODES.WRITE);
  await file.close();
  return opened;
}

/** If the name cannot be made durable, the log is moved aside: it must not be used by accident. */
async function makeNameDurable(
  env: WalEnv,
  directory: string,
  file: DiskFile,
  options: WalOptions,
): Promise<void> {
  try {
    await syncNames(env, parentOf(directory), options);
  } catch (error) {
    await file.close();
    const aside = `${directory}.broken.${timestamp(env.clock.wallMs())}`;
    await env.disk.rename(directory, aside).catch(() => {});
    throw error;
  }
}

/** `YYYYMMDD.HHMMSS.micros`, UTC. */
function timestamp(wallMs: number): string {
  const [date, time] = new Date(wallMs).toISOString().split('T') as [string, string];
  const [clock, millis] = time.replaceAll(':', '').split('.') as [string, string];
  return `${date.replaceAll('-', '')}.${clock}.${millis.slice(0, 3)}000`;
}
