// The log that is open for appending. Hot: the path of an append.
//
// Appends wait in a queue. One pump takes a batch of them, up to a size, encodes it into one buffer,
// writes it once, syncs once if any of them asks for it, and completes them in order, while further
// ones queue. No promise, closure or array per append.
//
//   append ─> waiting ─(pump: encode, write, sync)─> complete
//
// When the segment is full, the pump changes to the next one between two batches:
//   1. cut off what the old segment has beyond its records, sync it;
//   2. take the prepared file, write its head (checksum so far, metadata, hard state), sync it;
//   3. rename it, sync the directory.
// A crash between any two steps leaves a log that ends in the old segment or in the new one; nothing
// is acknowledged in the new one before step 3 is done. Where the lock of the directory does not cover its
// files, the new one is locked in the background: until then the lock of an older segment keeps other
// processes out.

import {
  COUNT_MAX,
  ERROR_CODES,
  failpoints,
  hasCode,
  invariant,
  type LogIndex,
  TetcdError,
  verify,
} from '../base/index.ts';
import { type DirectoryLock, type DiskFile, OPEN_MODES } from '../env/index.ts';
import { type raftpb, walpb } from '../protocol/index.ts';
import { FrameBuffer } from './frame-buffer.ts';
import {
  APPENDS_WAITING_MAX,
  BATCH_SIZE_MAX,
  FILL_DELAY_MS,
  PREPARE_AT_FRACTION,
  PREPARE_RETRY_FRACTION,
  SEGMENT_SIZE_DEFAULT,
  WRITE_SYNC_SIZE_MAX,
} from './limits.ts';
import type { OpenSegment } from './log-reader.ts';
import { syncFile, syncFileNow, syncNames } from './observe.ts';
import { RECORD_TYPES } from './record-types.ts';
import { segmentName } from './segment-name.ts';
import { SegmentPreparer } from './segment-preparer.ts';
import type { WalAppend, WalEnv, WalOptions, WalSnapshot } from './types.ts';
import { verifyFrames } from './verify-frames.ts';
import { ZeroFiller } from './zero-filler.ts';

/** Where appending continues. */
interface WalTail {
  /** Of the directory; from now on the log's. */
  readonly lock: DirectoryLock;
  readonly metadata: Uint8Array;
  /** All locked with it; the last one is appended to. */
  readonly segments: readonly OpenSegment[];
  /** Where its records end. Everything after is zeros. */
  readonly offset: number;
  /** Running checksum. */
  readonly crc: number;
  readonly lastIndex: LogIndex;
  readonly hardState: raftpb.HardState;
}

/** A log open for appending, by `createWal` or `openWal`. Holds the lock until `close`. */
export class Wal {
  readonly directory: string;
  readonly #env: WalEnv;
  readonly #options: WalOptions;
  readonly #segmentSize: number;
  readonly #lock: DirectoryLock;
  readonly #metadata: Uint8Array;
  readonly #preparer: SegmentPreparer;
  /** Of the segment that the log was opened with; those that follow are filled when they are taken. */
  readonly #filler: ZeroFiller;
  readonly #filling: Promise<void>;
  readonly #frames: FrameBuffer;

  /** Held, oldest first; the last one is appended to. */
  #segments: OpenSegment[];
  #offset: number;
  /** Index of the newest entry or snapshot; names the next segment. */
  #lastIndex: LogIndex;
  /** Newest one written; heads the next segment. */
  #hardState: raftpb.HardState;
  /** Something was written since the last sync. */
  #unsynced = false;
  /** Offset at which the preparation of the next segment begins. */
  #prepareAt = 0;

  /** Appends that wait, from `#waitingFrom` on. */
  #waiting: WalAppend[] = [];
  #waitingFrom = 0;
  #pumping = false;
  /** The first failure; final. */
  #failure: TetcdError | undefined;
  #closing = false;
  /** Locks the newest segment. */
  #locking: Promise<void> = Promise.resolve();
  /** Resolves when the pump has nothing left to do. */
  #pumped: Promise<void> = Promise.resolve();

  /** Through `createWal` and `openWal`. */
  constructor(env: WalEnv, directory: string, tail: WalTail, options: WalOptions) {
    this.directory = directory;
    this.#env = env;
    this.#options = options;
    this.#segmentSize = options.segmentSize ?? SEGMENT_SIZE_DEFAULT;
    this.#lock = tail.lock;
    this.#metadata = tail.metadata;
    this.#segments = [...tail.segments];
    this.#offset = tail.offset;
    this.#lastIndex = tail.lastIndex;
    this.#hardState = { ...tail.hardState };
    this.#frames = new FrameBuffer(tail.crc);
    this.#preparer = new SegmentPreparer(env, directory, this.#segmentSize, options);
    this.#prepareAt = this.#segmentSize * PREPARE_AT_FRACTION;
    invariant(this.#segments.length > 0, 'wal: a log has a segment');
    invariant(
      this.#segments.every(({ name }, i) => name.sequence === this.oldestHeld + i),
      'wal: segments are held without a gap',
    );
    invariant(
      this.#offset > 0 && this.#offset % 8 === 0,
      'wal: a segment has a head of whole frames',
    );
    invariant(this.#offset <= this.#tail.file.size(), 'wal: a log ends within its last segment');
    this.#filler = new ZeroFiller(env, this.#tail.file, this.#segmentSize, options);
    this.#filling = this.#fill();
    this.#maybePrepare();
  }

  /** Appends that wait or are being written. Bounded by `APPENDS_WAITING_MAX`. */
  get waitingAppends(): number {
    return this.#waiting.length - this.#waitingFrom;
  }

  /** The first failure, after which every append fails. */
  get failure(): TetcdError | undefined {
    return this.#failure;
  }

  /** Index of the newest entry or snapshot that was written or is being written. */
  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  /**
   * Takes an append; any number may be outstanding. Throws LIMIT_EXCEEDED, with nothing taken, at the
   * bound of the queue, and CLOSED after `close`. A hard state must not go back, entries must not replace
   * committed ones nor leave a gap.
   */
  append(append: WalAppend): void {
    if (this.waitingAppends >= APPENDS_WAITING_MAX) {
      const text = `wal: more than ${APPENDS_WAITING_MAX} appends wait for the disk`;
      throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, text);
    }
    this.#enqueue(append);
  }

  #enqueue(append: WalAppend): void {
    if (this.#closing) throw new TetcdError(ERROR_CODES.CLOSED, 'wal: append after close');
    mustBeReadable(append);
    this.#waiting.push(append);
    if (this.#pumping) return;
    invariant(this.waitingAppends === 1, 'wal: without a pump nothing has waited');
    this.#pumping = true;
    // In a microtask: `complete` is never called from within `append`, and whatever the caller appends
    // before it awaits shares the write.
    this.#pumped = Promise.resolve().then(this.#pump);
  }

  /**
   * Records that a snapshot exists, after all earlier appends; durable when it resolves. The snapshot
   * itself must be synced before. The record counts only together with a hard state whose commit is not
   * below its index: for a snapshot of our own log that one was appended before; for one that the
   * leader sent, append it right after, and only then, in a later append, entries that follow.
   */
  saveSnapshot(snapshot: WalSnapshot): Promise<void> {
    if (snapshot.confState === undefined && snapshot.index > 0) {
      const text = 'wal: a snapshot record with an index needs a confState';
      return Promise.reject(new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text));
    }
    return this.#appendControl(snapshot);
  }

  /** Everything appended before is durable when it resolves, whether it asked for that or not. */
  sync(): Promise<void> {
    return this.#appendControl(undefined);
  }

  #appendControl(snapshot: WalSnapshot | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      // Not subject to the bound of the queue: these are rare, and `close` must not fail.
      this.#enqueue(new ControlAppend(snapshot, resolve, reject));
    });
  }

  /**
   * Closes and unlocks the segments that hold only entries before `index`; `purgeSegments` may then
   * remove them. The newest segment that begins before `index` is kept: it may hold `index` itself. Only
   * for an index that a durable snapshot covers.
   */
  async releaseTo(index: LogIndex): Promise<void> {
    const following = this.#segments.findIndex((segment) => segment.name.firstIndex >= index);
    const kept = following === -1 ? this.#segments.length - 1 : Math.max(0, following - 1);
    const released = this.#segments.splice(0, kept);
    invariant(this.#segments.length > 0, 'wal: the newest segment is never released');
    invariant(
      released.length === 0 || this.#segments[0]!.name.firstIndex < index,
      'wal: the segment that may hold the index is kept',
    );
    for (const segment of released) await segment.file.close();
  }

  /** Sequence of the oldest segment that is held. */
  get oldestHeld(): number {
    return this.#segments[0]!.name.sequence;
  }

  /** Completes all appends, syncs, and closes the files. Rejects if the log has failed. */
  async close(): Promise<void> {
    if (this.#closing) return;
    const synced = this.#failure === undefined ? this.sync() : Promise.reject(this.#failure);
    synced.catch(() => {});
    this.#closing = true;
    await this.#pumped;
    invariant(this.waitingAppends === 0, 'wal: a log that closes has completed its appends');
    await this.#locking.catch(() => {});
    this.#filler.stop();
    await this.#filling;
    await this.#preparer.stop();
    for (const segment of this.#segments) await segment.file.close();
    await this.#lock.release();
    await synced;
  }

  // --- the pump ----------------------------------------------------------------------------------

  get #tail(): OpenSegment {
    return this.#segments[this.#segments.length - 1]!;
  }

  readonly #pump = async (): Promise<void> => {
    // Only for the first batch: those whose appends are completed after it wait for the rest of the turn.
    let mayWait = this.waitingAppends === 1 && this.#waiting[this.#waitingFrom]!.isAlone === true;
    while (this.#waitingFrom < this.#waiting.length && this.#failure === undefined) {
      let end = 0;
      try {
        end = this.#encodeBatch();
        const writing = this.#writeBatch();
        if (writing !== undefined) await writing;
        const synced = !this.#mustSync || (mayWait && writing === undefined && this.#syncNow());
        if (!synced) await this.#sync();
        mayWait = false;
      } catch (error) {
        this.#fail(error);
        break;
      }
      this.#completeTo(end, undefined);
      if (this.#offset < this.#segmentSize || this.#frames.length === 0) continue;
      try {
        await this.#cut();
      } catch (error) {
        this.#fail(error);
      }
    }
    // Again, if appends were made by those that are completed.
    while (this.#failure !== undefined && this.waitingAppends > 0) {
      this.#completeTo(this.#waiting.length, this.#failure);
    }
    invariant(this.waitingAppends === 0, 'wal: the pump ends when nothing waits');
    this.#pumping = false;
  };

  /** Whether an append of the batch wants a sync. */
  #mustSync = false;

  /** Encodes appends until the batch is full. Returns the end of what it took. */
  #encodeBatch(): number {
    const frames = this.#frames;
    frames.clear();
    const crcBefore = frames.crc;
    this.#mustSync = false;
    let at = this.#waitingFrom;
    invariant(at < this.#waiting.length, 'wal: a batch has at least one append');
    while (at < this.#waiting.length && frames.length < BATCH_SIZE_MAX) {
      const append = this.#waiting[at++]!;
      const { entries, hardState } = append;
      if (entries.length > 0) this.#encodeEntries(entries);
      if (hardState !== undefined) this.#encodeHardState(hardState);
      if (append instanceof ControlAppend && append.snapshot !== undefined) {
        this.#encodeSnapshot(append.snapshot);
      }
      if (append.mustSync) this.#mustSync = true;
    }
    invariant(at > this.#waitingFrom, 'wal: a batch takes an append');
    if (verify.all) this.#verifyBatch(crcBefore);
    return at;
  }

  #verifyBatch(crcBefore: number): void {
    const { bytes, length, crc: crcAfter } = this.#frames;
    const lastIndex = this.#lastIndex;
    verifyFrames(bytes.subarray(0, length), { crcBefore, crcAfter, lastIndex });
  }

  #encodeEntries(entries: readonly raftpb.Entry[]): void {
    const first = entries[0]!.index;
    invariant(first >= 1 && first <= this.#lastIndex + 1, 'wal: entries leave a gap');
    invariant(first > this.#hardState.commit, 'wal: a committed entry is replaced');
    if (verify.all) verifyEntries(entries);
    for (let i = 0; i < entries.length; i++) this.#frames.entry(entries[i]!);
    this.#lastIndex = first + entries.length - 1;
    invariant(
      entries[entries.length - 1]!.index === this.#lastIndex,
      'wal: the last entry of an append has the last index',
    );
  }

  #encodeHardState(state: raftpb.HardState): void {
    if (isEmpty(state)) return;
    invariant(state.term >= this.#hardState.term, 'wal: the term of the hard state goes back');
    invariant(state.commit >= this.#hardState.commit, 'wal: the commit index goes back');
    invariant(
      state.term > this.#hardState.term ||
        this.#hardState.vote === 0n ||
        state.vote === this.#hardState.vote,
      'wal: a vote is given once in a term',
    );
    this.#hardState.term = state.term;
    this.#hardState.vote = state.vote;
    this.#hardState.commit = state.commit;
    this.#frames.hardState(state);
  }

  #encodeSnapshot(snapshot: WalSnapshot): void {
    invariant(
      snapshot.index === 0 || snapshot.confState !== undefined,
      'wal: a snapshot record has the members',
    );
    this.#frames.record(RECORD_TYPES.SNAPSHOT, walpb.SnapshotCodec.encode(snapshot));
    this.#lastIndex = Math.max(this.#lastIndex, snapshot.index);
  }

  /** Writes the batch, in this turn where it can. */
  #writeBatch(): Promise<void> | undefined {
    const size = this.#frames.length;
    if (size === 0) return undefined;
    invariant(size % 8 === 0 && this.#offset % 8 === 0, 'wal: frames lie at multiples of 8');
    const inTurn = size <= WRITE_SYNC_SIZE_MAX && this.#filler.hasReached(this.#offset + size);
    if (!inTurn) return this.#writeLater(size);
    const startMs = this.#env.clock.monotonicMs();
    this.#unsynced = true;
    this.#tail.file.writeSync(this.#frames.bytes.subarray(0, size), this.#offset);
    this.#acceptWritten(size, startMs);
    return undefined;
  }

  async #writeLater(size: number): Promise<void> {
    await this.#filler.reach(this.#offset + size);
    const bytes = this.#frames.bytes.subarray(0, size);
    const startMs = this.#env.clock.monotonicMs();
    this.#unsynced = true;
    if (size <= WRITE_SYNC_SIZE_MAX) this.#tail.file.writeSync(bytes, this.#offset);
    else await this.#tail.file.write([bytes], this.#offset);
    this.#acceptWritten(size, startMs);
  }

  #acceptWritten(size: number, startMs: number): void {
    this.#offset += size;
    if (verify.all) {
      invariant(this.#offset <= this.#tail.file.size(), 'wal: what is written is in the file');
    }
    const { observer } = this.#options;
    observer?.wrote?.(size, (this.#env.clock.monotonicMs() - startMs) / 1000);
    this.#maybePrepare();
  }

  /** Whether what is written is synced; within this turn, if the disk is fast. */
  #syncNow(): boolean {
    if (!this.#unsynced) return true;
    // Zeros that are being written would be waited for too.
    if (failpoints.active !== undefined || !this.#filler.isDone) return false;
    if (!syncFileNow(this.#env, this.#tail.file, this.#options)) return false;
    this.#unsynced = false;
    return true;
  }

  async #sync(): Promise<void> {
    if (!this.#unsynced) return;
    const offset = this.#offset;
    // Before the sync: zeros that are filled while it runs need another one.
    this.#unsynced = false;
    if (failpoints.active !== undefined) await failpoints.active.hold('walBeforeSync');
    await syncFile(this.#env, this.#tail.file, this.#options);
    if (failpoints.active !== undefined) await failpoints.active.hold('walAfterSync');
    invariant(this.#offset === offset, 'wal: nothing is written during a sync');
  }

  /** Completes the appends before `end` and forgets them. */
  #completeTo(end: number, error: TetcdError | undefined): void {
    invariant(end <= this.#waiting.length, 'wal: only what was appended is completed');
    while (this.#waitingFrom < end) {
      const append = this.#waiting[this.#waitingFrom++]!;
      append.complete(error);
    }
    // Appends made since then stand after `end`; without any, the array is reset.
    if (this.#waitingFrom === this.#waiting.length) this.#waiting = [];
    else if (this.#waitingFrom > 1024 && this.#waitingFrom * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#waitingFrom);
    } else return;
    this.#waitingFrom = 0;
  }

  #fail(error: unknown): void {
    // Any other error than a failure of the disk is our own mistake.
    if (!(error instanceof TetcdError)) throw error;
    this.#failure ??= error;
  }

  // --- segments ----------------------------------------------------------------------------------

  #maybePrepare(): void {
    if (this.#offset < this.#prepareAt) return;
    // After a failure (a full disk) the next attempt comes some batches later.
    this.#prepareAt = this.#offset + this.#segmentSize * PREPARE_RETRY_FRACTION;
    this.#preparer.start();
  }

  /** Never rejects: the append that needs what could not be filled tries again. */
  async #fill(): Promise<void> {
    if (this.#filler.isDone) return;
    try {
      // By the pump: of two syncs at the same time, only one may be told that a write has failed.
      await this.#filler.fill(() => {
        this.#unsynced = true;
        return this.sync();
      }, FILL_DELAY_MS);
    } catch (error) {
      if (!this.#closing) this.#options.observer?.prepareFailed?.(error as TetcdError);
    }
  }

  async #cut(): Promise<void> {
    const tail = this.#tail;
    invariant(this.#filler.isDone, 'wal: a segment is filled before it is full');
    if (tail.file.size() > this.#offset) {
      await tail.file.truncate(this.#offset);
      this.#unsynced = true;
    }
    await this.#sync();
    invariant(
      tail.file.size() === this.#offset,
      'wal: a segment that is left ends with its records',
    );

    const prepared = await this.#preparer.take();
    const frames = this.#frames;
    frames.clear();
    putSegmentHead(frames, this.#metadata);
    if (!isEmpty(this.#hardState)) frames.hardState(this.#hardState);
    const headSize = frames.length;
    invariant(headSize > 0 && headSize % 8 === 0, 'wal: a segment has a head of whole frames');
    await prepared.write([frames.bytes.subarray(0, headSize)], 0);
    await syncFile(this.#env, prepared, this.#options);

    const sequence = tail.name.sequence + 1;
    const name = segmentName(sequence, this.#lastIndex + 1);
    const path = `${this.directory}/${name}`;
    const file = await this.#renameAndReopen(prepared, path);
    await syncNames(this.#env, this.directory, this.#options);

    const firstIndex = this.#lastIndex + 1;
    invariant(tail === this.#tail, 'wal: a segment follows the newest one');
    this.#segments.push({ name: { name, sequence, firstIndex }, path, file });
    this.#offset = headSize;
    this.#prepareAt = this.#segmentSize * PREPARE_AT_FRACTION;
    this.#lockFile(file);
    this.#options.observer?.segmentCreated?.(path);
  }

  /** Renames the file and opens it under its new name, for error texts and locks. */
  async #renameAndReopen(prepared: DiskFile, path: string): Promise<DiskFile> {
    const from = prepared.path;
    try {
      await this.#env.disk.rename(from, path);
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.DISK_FAILED)) throw error;
      // Where an open file cannot be renamed.
      await prepared.close();
      await this.#env.disk.rename(from, path);
    }
    const file = await this.#env.disk.open(path, OPEN_MODES.WRITE);
    await prepared.close();
    return file;
  }

  #lockFile(file: DiskFile): void {
    const locking = file.lock(this.#lock);
    this.#locking = locking;
    locking.catch((error) => {
      if (!this.#closing) this.#fail(error);
    });
  }
}

/** The first two records of every segment. */
export function putSegmentHead(frames: FrameBuffer, metadata: Uint8Array): void {
  // A record without data does not change the running checksum: its field is the checksum so far.
  frames.record(RECORD_TYPES.CRC, new Uint8Array(0));
  frames.record(RECORD_TYPES.METADATA, metadata);
}

/** Larger numbers would be refused when the log is read. */
function mustBeReadable(append: WalAppend): void {
  const { entries, hardState } = append;
  // Indexes and terms only grow: what holds for the last one holds for all.
  const last = entries[entries.length - 1];
  invariant(
    last === undefined || (last.index > 0 && last.term > 0),
    'wal: an entry has an index and a term',
  );
  mustBeCounts(last?.term ?? 0, last?.index ?? 0);
  mustBeCounts(hardState?.term ?? 0, hardState?.commit ?? 0);
  if (append instanceof ControlAppend && append.snapshot !== undefined) {
    mustBeCounts(append.snapshot.term, append.snapshot.index);
  }
}

function mustBeCounts(term: number, index: number): void {
  invariant(term <= COUNT_MAX && index <= COUNT_MAX, 'wal: a term or index is above 2^53-1');
}

function verifyEntries(entries: readonly raftpb.Entry[]): void {
  let { index, term } = entries[0]!;
  for (const entry of entries) {
    invariant(entry.index === index++, 'wal: entries are not contiguous');
    invariant(entry.term > 0 && entry.term >= term, 'wal: the term of an entry goes back');
    term = entry.term;
  }
}

function isEmpty(state: raftpb.HardState): boolean {
  return state.term === 0 && state.vote === 0n && state.commit === 0;
}

/** A snapshot record, or only a sync, in the queue of appends. */
class ControlAppend implements WalAppend {
  readonly hardState = undefined;
  readonly entries: readonly raftpb.Entry[] = [];
  readonly mustSync = true;
  readonly snapshot: WalSnapshot | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: TetcdError) => void;

  constructor(
    snapshot: WalSnapshot | undefined,
    resolve: () => void,
    reject: (error: TetcdError) => void,
  ) {
    this.snapshot = snapshot;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  complete(error: TetcdError | undefined): void {
    if (error === undefined) this.#resolve();
    else this.#reject(error);
  }
}
