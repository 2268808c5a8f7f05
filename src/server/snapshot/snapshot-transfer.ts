// Snapshots between members: sending a leader's database, and receiving one.
//
// Sending: raft requests a snapshot for a member. The database is sent as of a commit made for this, and
// the snapshot's index is exactly the one in the file: it may be newer than raft's, never older. During the
// transfer, and some time after, raft's log is not compacted, since the receiver needs later entries.
//
// Receiving: the file is received and synced under a temporary name, opened, which reads and checks it
// completely together with the v2 store in the message (`openReceived`), then renamed to `<index>.snap.db`,
// before raft gets the message: once raft has a snapshot, it must be installed. It stays open until then.
// An interrupted transfer, or a file that could not be served, leaves nothing behind. A file that raft has
// accepted is not touched until it is installed, even if others arrive: the same snapshot may be sent again
// by a sender that got no response, and another leader may send a later one.

import { ERROR_CODES, hasCode, invariant, type LogIndex, TetcdError } from '../../base/index.ts';
import { type DiskFile, type Env, OPEN_MODES } from '../../env/index.ts';
import { formatId, writeV2Store } from '../../membership/index.ts';
import type { DataDirectory } from '../../offline/index.ts';
import type { OutgoingSnapshot } from '../../peer/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import type { RawNode } from '../../raft/index.ts';
import type { Backend, DatabaseCopy } from '../../store/index.ts';
import { removeSnapDatabases, snapDatabasePath } from '../../wal/index.ts';
import { openReceived, type Store, type StoreOptions } from '../boot/store-opening.ts';
import {
  RECEIVED_WRITE_BYTES,
  RECEIVED_WRITE_PIECES,
  SNAPSHOT_RELEASE_DELAY_MS,
  SNAPSHOTS_IN_FLIGHT_MAX,
} from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';

interface SnapshotTransferParts {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly env: Env;
  readonly log: Logger;
  readonly directory: DataDirectory;
  readonly metrics: Pick<ServerMetrics, 'disk' | 'v2Store'>;
  /** Options of the received databases. */
  readonly storeOptions: StoreOptions;
  /** Read for the backend each time: a snapshot replaces it. */
  readonly store: { readonly machine: { readonly backend: Backend } };
  readonly peers: {
    readonly transport: {
      sendSnapshot(message: raftpb.Message, snapshot: OutgoingSnapshot): Promise<boolean>;
    };
  };
  /** Outcome of a snapshot sent to `id`; each one that raft requested must be reported. */
  readonly reports: { acceptSnapshotSent(id: bigint, arrived: boolean): void };
  /** For its commit index: raft ignores a snapshot that is not above it. */
  readonly node: Pick<RawNode, 'basicStatus'>;
}

export class SnapshotTransfer {
  readonly #parts: SnapshotTransferParts;
  #outgoing = 0;
  /** Transfers in progress, and receivers that may still need the log as it is. */
  #held = 0;
  #stopped = false;
  /** The newest stored snapshot, until raft has accepted or ignored it. */
  #stored: { readonly index: LogIndex; readonly store: Store } | undefined;
  /**
   * Snapshots that raft has accepted and that are not installed yet, with their databases until the
   * installation takes them.
   */
  readonly #taken = new Map<LogIndex, Store | undefined>();
  #receiving: Promise<unknown> = Promise.resolve();

  constructor(parts: SnapshotTransferParts) {
    this.#parts = parts;
  }

  /** Whether raft's log must not be compacted. */
  get holdsLog(): boolean {
    return this.#held > 0;
  }

  /** Sends raft's MsgSnap to another member and reports the outcome. */
  send(message: raftpb.Message): void {
    if (this.#stopped || this.#outgoing >= SNAPSHOTS_IN_FLIGHT_MAX) {
      // In a later turn: raft must not be re-entered.
      void this.#parts.env.timers.nextTurn().then(() => this.#report(message.to, false));
      return;
    }
    void this.#send(message);
  }

  #report(to: bigint, arrived: boolean): void {
    if (!this.#stopped) this.#parts.reports.acceptSnapshotSent(to, arrived);
  }

  async #send(message: raftpb.Message): Promise<void> {
    const { env, log, store } = this.#parts;
    this.#outgoing++;
    this.#held++;
    let copy: DatabaseCopy | undefined;
    let arrived = false;
    try {
      copy = await store.machine.backend.openCopy();
      arrived = await this.#sendCopy(message, copy);
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.CLOSED)) {
        log.warn('failed to send a snapshot', {
          'remote-peer-id': formatId(message.to),
          error: asError(error),
        });
      }
    } finally {
      copy?.close();
      this.#outgoing--;
    }
    env.timers.after(SNAPSHOT_RELEASE_DELAY_MS, () => this.#held--);
    this.#report(message.to, arrived);
  }

  async #sendCopy(message: raftpb.Message, copy: DatabaseCopy): Promise<boolean> {
    const { log, metrics, peers } = this.#parts;
    const { index, term, membership } = copy.durable;
    invariant(membership !== undefined, 'a copy knows the membership');
    const asked = message.snapshot?.metadata?.index ?? 0;
    invariant(index >= asked, 'what is durable covers the snapshot that raft knows of');
    const { confState, cluster } = membership;
    const { writes } = metrics.v2Store;
    const data = writeV2Store(cluster, (action) => void writes.with(action).value++);
    const fields = {
      'remote-peer-id': formatId(message.to),
      'snapshot-index': index,
      bytes: copy.size,
    };
    log.info('sending merged snapshot', fields);
    const snapshot = { data, metadata: { confState, index, term } };
    const outgoing = { size: copy.size, chunks: () => copy.chunks(), close: () => copy.close() };
    const arrived = await peers.transport.sendSnapshot({ ...message, snapshot }, outgoing);
    if (arrived) log.info('sent merged snapshot', fields);
    else log.warn('failed to send merged snapshot', fields);
    return arrived;
  }

  /**
   * Passes a MsgSnap to raft by `step`, if its database is stored; false if it is not. A snapshot that raft
   * ignores needs no database.
   */
  handOver(message: raftpb.Message, step: () => void): boolean {
    const { node } = this.#parts;
    const index = message.snapshot?.metadata?.index ?? 0;
    const isNew = index > node.basicStatus().commit;
    const stored = this.#stored;
    if (isNew && index !== stored?.index) return false;
    step();
    if (isNew && node.basicStatus().commit >= index) {
      this.#taken.set(index, stored?.store);
      this.#stored = undefined;
    } else if (index === stored?.index) {
      this.#dropStored();
    }
    return true;
  }

  /** The open database of a snapshot that raft has accepted, for its installation; asked for once. */
  takeStore(index: LogIndex): Store {
    const store = this.#taken.get(index);
    invariant(store !== undefined, 'a snapshot that raft has accepted is stored');
    this.#taken.set(index, undefined);
    return store;
  }

  /** The snapshot at `index` is installed, so that earlier ones are obsolete. */
  acceptInstalled(index: LogIndex): void {
    for (const [taken, store] of this.#taken) {
      if (taken > index) continue;
      invariant(
        store === undefined,
        'snapshots are installed in the order in which raft takes them',
      );
      this.#taken.delete(taken);
    }
  }

  /** Raft needs it no more, and will not ask for it. */
  #dropStored(): void {
    const stored = this.#stored;
    this.#stored = undefined;
    if (stored !== undefined) void closeUnused(stored.store);
  }

  /** See `PeerHost.storeSnapshot`; one at a time. */
  store(message: raftpb.Message, body: AsyncIterable<Uint8Array>): Promise<void> {
    const stored = this.#receiving.then(() => this.#store(message, body));
    this.#receiving = stored.catch(() => undefined);
    return stored;
  }

  async #store(message: raftpb.Message, body: AsyncIterable<Uint8Array>): Promise<void> {
    const { env, directory, metrics, log, node } = this.#parts;
    const { snapshot } = message;
    const index = snapshot?.metadata?.index ?? 0;
    if (snapshot === undefined || index === 0)
      throw new TetcdError(ERROR_CODES.MALFORMED, 'the snapshot has no index');
    if (index <= node.basicStatus().commit) {
      await readToEnd(body);
      return;
    }
    const began = env.clock.monotonicMs();
    const temporary = `${directory.snap}/tmp-${index}.snap.db`;
    let received: Received | undefined;
    try {
      received = await this.#receive(temporary, snapshot, body);
      if (this.#stopped) throw new TetcdError(ERROR_CODES.CLOSED, 'the member stops');
      // Raft may have reached the index since, by appends or by the same snapshot.
      if (index <= node.basicStatus().commit) {
        await closeUnused(received.store);
        await env.disk.remove(temporary);
        return;
      }
      await received.store.backend.rename(snapDatabasePath(directory.snap, index));
    } catch (error) {
      if (received !== undefined) await closeUnused(received.store);
      await env.disk.remove(temporary).catch(() => undefined);
      throw error;
    }
    this.#dropStored();
    this.#stored = { index, store: received.store };
    // Databases of earlier snapshots that raft ignored.
    await removeSnapDatabases(env.disk, directory.snap, Math.min(index, ...this.#taken.keys()));
    metrics.disk.snapDbSaveSeconds.observe((env.clock.monotonicMs() - began) / 1000);
    log.info('saved database snapshot to disk', { 'snapshot-index': index, bytes: received.size });
  }

  /** Writes the file, and opens it while it is being synced; rejects unless both succeed. */
  async #receive(
    path: string,
    snapshot: raftpb.Snapshot,
    body: AsyncIterable<Uint8Array>,
  ): Promise<Received> {
    const { env, storeOptions } = this.#parts;
    const file = await env.disk.open(path, OPEN_MODES.OPEN_OR_CREATE);
    let store: Store | undefined;
    try {
      const size = await writeAll(file, body);
      const synced = this.#sync(file);
      synced.catch(() => undefined);
      store = await openReceived(storeOptions, path, snapshot, this.#parts);
      await synced;
      return { size, store };
    } catch (error) {
      if (store !== undefined) await closeUnused(store);
      throw error;
    } finally {
      await file.close();
    }
  }

  async #sync(file: DiskFile): Promise<void> {
    const { env, metrics } = this.#parts;
    const began = env.clock.monotonicMs();
    await file.sync();
    metrics.disk.snapDbFsyncSeconds.observe((env.clock.monotonicMs() - began) / 1000);
  }

  /** Nothing more is sent, stored or reported. */
  stop(): void {
    this.#stopped = true;
  }

  /** Nothing arrives or is installed any more: closes what was received for that. */
  async close(): Promise<void> {
    invariant(this.#stopped, 'a transfer stops before it is closed');
    await this.#receiving;
    const stores = [this.#stored?.store, ...this.#taken.values()];
    this.#stored = undefined;
    this.#taken.clear();
    for (const store of stores) if (store !== undefined) await closeUnused(store);
  }
}

/** A received database, open and durable. */
interface Received {
  readonly size: number;
  readonly store: Store;
}

/** Writes the body from the beginning of the file on: its size. One write is under way while more arrives. */
async function writeAll(file: DiskFile, body: AsyncIterable<Uint8Array>): Promise<number> {
  await file.truncate(0);
  let position = 0;
  let pieces: Uint8Array[] = [];
  let held = 0;
  let writing: Promise<void> = Promise.resolve();
  for await (const piece of body) {
    pieces.push(piece);
    held += piece.length;
    if (held < RECEIVED_WRITE_BYTES && pieces.length < RECEIVED_WRITE_PIECES) continue;
    await writing;
    writing = file.write(pieces, position);
    writing.catch(() => undefined);
    position += held;
    pieces = [];
    held = 0;
  }
  await writing;
  if (held > 0) await file.write(pieces, position);
  return position + held;
}

/** Closes a database that nothing has read or changed since it was opened. */
async function closeUnused({ backend }: Store): Promise<void> {
  await backend.close().catch(() => undefined);
}

async function readToEnd(body: AsyncIterable<Uint8Array>): Promise<void> {
  const pieces = body[Symbol.asyncIterator]();
  while ((await pieces.next()).done !== true);
}
