// Snapshots, which bound the length of the log.
//
// The five steps, in this order; a crash between any two leaves a directory that boots:
//
//     1 backend synced at C, with the membership as of C
//     2 `.snap` for S = C written and synced
//     3 snapshot record S in the log, synced, after a hard state with commit ≥ S
//     4 segments of the log before S released (and later purged)
//     5 raft's log in memory compacted, except for entries that slow followers may need
//
// S is the durable index, never the applied one: only a finished commit of the backend makes one. While the
// log is behind a backend that was found ahead of it, there is no S.
//
// The log is bounded in entries (the flags) and in bytes (`logBytesMax`), whichever is less:
//
//     in memory   5 is done on its own after commits of the backend, and keeps snapshotCatchupEntries entries
//                 up to S, but no more than logBytesMax of them, and always the newest one. A follower that
//                 lacks more gets the database. Of entries that all members have the leader keeps
//                 LOG_BYTES_COMMON_MAX
//     on disk     1 to 4 are due when snapshotCount entries have been applied since the last time, and when
//                 more than logBytesMax would have to be read by a start
//
// A member that is idle keeps LOG_BYTES_IDLE_MAX in memory, and what a follower lacks that the leader knows.
//
// While a snapshot is on its way to a member, and for some time after, neither bound makes 5 drop anything.

import { ERROR_CODES, failpoints, hasCode, invariant, type LogIndex } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { writeV2Store } from '../../membership/index.ts';
import type { DataDirectory } from '../../offline/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import type { MemoryStorage, RawNode } from '../../raft/index.ts';
import type { Backend, DurableIndex } from '../../store/index.ts';

import { type SnapTimer, type Wal, writeSnapFile } from '../../wal/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { LOG_BYTES_COMMON_MAX, LOG_BYTES_IDLE_MAX, MEMORY_SNAPSHOT_ENTRIES } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';

interface SnapshotterParts {
  readonly config: Pick<ServerConfig, 'snapshotCount' | 'snapshotCatchupEntries' | 'logBytesMax'>;
  readonly env: Pick<Env, 'clock' | 'disk'>;
  readonly log: Logger;
  readonly directory: DataDirectory;
  readonly metrics: Pick<ServerMetrics, 'disk' | 'v2Store'>;
  /** Read for the backend each time: a leader's snapshot replaces it. */
  readonly store: { readonly machine: { readonly backend: Backend } };
  /** Whether raft's log must not be compacted, for a member that continues from a snapshot. */
  readonly transfer: { readonly holdsLog: boolean };
  readonly storage: MemoryStorage;
  readonly wal: Wal;
  /** For its commit index: a hard state with it has been appended to the log. */
  readonly node: Pick<RawNode, 'basicStatus' | 'status'>;
  /** Index of the newest snapshot that the log records. */
  readonly snapshotIndex: LogIndex;
  readonly loop: {
    /** Appends the commit index to the log; the record of a snapshot counts only after it. */
    writeCommit(): void;
  };
  readonly life: {
    /** A step failed: the member must stop. */
    fail(error: unknown): void;
  };
}

export class Snapshotter {
  readonly #parts: SnapshotterParts;
  /** Newest snapshot on disk. */
  #diskIndex: LogIndex;
  /** Newest snapshot that raft's storage knows. */
  #memoryIndex: LogIndex;
  /** Bytes of entries that raft's storage has dropped since the newest snapshot on disk. */
  #droppedBytes = 0;
  #running: Promise<void> | undefined;
  #stopped = false;
  readonly #timer: SnapTimer;

  constructor(parts: SnapshotterParts) {
    this.#parts = parts;
    this.#timer = snapTimer(parts);
    this.#diskIndex = parts.snapshotIndex;
    this.#memoryIndex = parts.snapshotIndex;
  }

  /** Called when entries have been applied: takes a snapshot on disk if one is due. */
  acceptApplied(appliedIndex: LogIndex): void {
    if (appliedIndex - this.#diskIndex <= this.#parts.config.snapshotCount) return;
    this.trigger();
  }

  /** Takes a snapshot on disk now, unless one is in progress. */
  trigger(): void {
    if (this.#running !== undefined || this.#stopped) return;
    this.#running = this.#take()
      .catch((error: unknown) => {
        // The member stops, or the backend was replaced.
        if (!hasCode(error, ERROR_CODES.CLOSED)) this.#parts.life.fail(error);
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Takes a snapshot of what is applied by now, after one in progress. Resolves when it has ended. */
  async take(): Promise<void> {
    await this.#running;
    this.trigger();
    await this.#running;
  }

  /** Resolves when no snapshot is in progress. */
  async whenIdle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Called after a commit of the backend: compacts raft's log in memory. */
  acceptCommit(durable: DurableIndex): void {
    const { storage, config } = this.#parts;
    const isDue =
      durable.index - this.#memoryIndex > MEMORY_SNAPSHOT_ENTRIES ||
      storage.payloadBytes > Math.min(config.logBytesMax, LOG_BYTES_COMMON_MAX);
    if (isDue) this.#compactLog(durable);
  }

  /** The member is idle: compacts raft's log in memory further. Resolves when it has, or has failed. */
  async shrinkLog(): Promise<void> {
    const { store, storage, life } = this.#parts;
    if (storage.payloadBytes <= LOG_BYTES_IDLE_MAX || this.#stopped) return;
    try {
      const durable = await store.machine.backend.commit();
      if (!this.#stopped) this.#compactLog(durable, true);
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.CLOSED)) life.fail(error);
    }
  }

  /** Steps 2 and 3 of a leader's snapshot, see `ready-loop.ts`. */
  async saveReceived(snapshot: raftpb.Snapshot): Promise<void> {
    const { env, directory, wal } = this.#parts;
    const { index = 0, term = 0, confState } = snapshot.metadata ?? {};
    if (failpoints.active !== undefined) await failpoints.active.hold('raftBeforeSaveSnap');
    await writeSnapFile(env.disk, directory.snap, snapshot, this.#timer);
    this.#diskIndex = Math.max(this.#diskIndex, index);
    this.#memoryIndex = Math.max(this.#memoryIndex, index);
    this.#droppedBytes = 0;
    if (failpoints.active !== undefined) await failpoints.active.hold('raftBeforeWALSaveSnaphot');
    await wal.saveSnapshot({ index, term, confState });
    if (failpoints.active !== undefined) await failpoints.active.hold('raftAfterSaveSnap');
  }

  /** Starts no more snapshots; resolves when a running one has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #take(): Promise<void> {
    const { env, log, directory, store, wal, loop, metrics } = this.#parts;
    const durable = await store.machine.backend.commit();
    if (durable.index <= this.#diskIndex || !this.#isCovered(durable)) return;
    log.info('triggering snapshot', {
      'local-member-snapshot-index': this.#diskIndex,
      'local-member-applied-index': durable.index,
    });
    const snapshot = snapshotOf(durable, metrics.v2Store);
    await writeSnapFile(env.disk, directory.snap, snapshot, this.#timer);
    const { index, term, confState } = snapshot.metadata!;
    // A leader's snapshot may have been installed since; records must not go back.
    if (index <= this.#diskIndex) return;
    loop.writeCommit();
    if (failpoints.active !== undefined) await failpoints.active.hold('raftBeforeWALSaveSnaphot');
    await wal.saveSnapshot({ index, term, confState });
    this.#diskIndex = Math.max(this.#diskIndex, index);
    this.#droppedBytes = 0;
    await wal.releaseTo(index);
    this.#compactLog(durable);
    log.info('saved snapshot to disk', { 'snapshot-index': index });
  }

  /** Up to where all members have the log on disk; undefined for one that does not lead. */
  get #allHave(): LogIndex | undefined {
    let index: LogIndex | undefined;
    for (const { match } of this.#parts.node.status().progress.values()) {
      index = Math.min(index ?? match, match);
    }
    return index;
  }

  /** Whether the durable index is of this run: the one found at boot has no membership. */
  #isCovered({ index, membership }: DurableIndex): boolean {
    const { storage, node } = this.#parts;
    if (membership === undefined || index > storage.lastIndex()) return false;
    return index <= node.basicStatus().commit;
  }

  /** An idle member keeps less; what a follower is known to lack is kept in any case. */
  #compactLog(durable: DurableIndex, isIdle = false): void {
    const { storage, config, transfer } = this.#parts;
    if (durable.membership === undefined || durable.index < this.#memoryIndex) return;
    if (!this.#isCovered(durable)) return;
    if (durable.index > this.#memoryIndex) {
      this.#memoryIndex = durable.index;
      storage.createSnapshot(durable.index, durable.membership.confState, new Uint8Array(0));
    }
    if (transfer.holdsLog || durable.index < storage.firstIndex()) return;
    const byCount = durable.index - config.snapshotCatchupEntries;
    const commonBytesMax = isIdle ? LOG_BYTES_IDLE_MAX : LOG_BYTES_COMMON_MAX;
    const allHave = this.#allHave ?? (isIdle ? durable.index : 0);
    const byBytes = Math.max(
      storage.compactIndexFor(durable.index, config.logBytesMax),
      Math.min(storage.compactIndexFor(durable.index, commonBytesMax), allHave),
    );
    const compactIndex = Math.max(byCount, byBytes);
    invariant(compactIndex < durable.index, 'the newest applied entry stays');
    const bytesBefore = storage.payloadBytes;
    if (compactIndex >= storage.firstIndex()) storage.compact(compactIndex);
    this.#droppedBytes += bytesBefore - storage.payloadBytes;
    if (byBytes <= byCount || byBytes <= this.#diskIndex) return;
    if (isIdle || this.#droppedBytes + storage.payloadBytes > config.logBytesMax) this.trigger();
  }
}

function snapTimer({ env, metrics: { disk } }: SnapshotterParts): SnapTimer {
  return {
    nowMs: () => env.clock.monotonicMs(),
    wrote: (marshalMs, syncMs) => {
      disk.snapMarshalSeconds.observe(marshalMs / 1000);
      disk.snapFsyncSeconds.observe(syncMs / 1000);
      disk.snapSaveSeconds.observe((marshalMs + syncMs) / 1000);
    },
  };
}

function snapshotOf(durable: DurableIndex, { writes }: ServerMetrics['v2Store']): raftpb.Snapshot {
  const { index, term, membership } = durable;
  invariant(membership !== undefined, 'a commit of this run knows the membership');
  const { confState, cluster } = membership;
  const data = writeV2Store(cluster, (action) => void writes.with(action).value++);
  return { data, metadata: { confState, index, term } };
}
