// Maintenance.Snapshot: the database file as of one commit, in pieces, then its SHA-256.

import { createHash } from 'node:crypto';
import { ERROR_CODES, hasCode, Pace } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { STATUS, type StreamHandler } from '../../grpc/index.ts';
import { formatId, formatStoredVersion } from '../../membership/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { endMalformed, endWith, type ServiceTable, type StreamCall } from '../../rpc/index.ts';
import type { DatabaseCopy } from '../../store/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { StateMachineOwner } from '../consensus/state-machine-owner.ts';
import type { StoreView } from '../consensus/store-view.ts';
import {
  SENT_SNAPSHOT_GRACE_MS,
  SENT_SNAPSHOT_RATE_MIN,
  SNAPSHOT_COPIES_MAX,
  SNAPSHOT_PIECE_BYTES,
} from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';

const method = etcdserverpb.MaintenanceService.methods.snapshot;

export interface SnapshotParts {
  readonly memberId: bigint;
  readonly env: Pick<Env, 'clock'>;
  readonly log: Logger;
  readonly callers: Pick<Callers, 'adminRefusal' | 'areAsked' | 'identify'>;
  readonly store: StoreView<'backend'> & Pick<StateMachineOwner, 'storageVersion'>;
}

export function registerSnapshot(table: ServiceTable, parts: SnapshotParts): void {
  const open = new Set<SnapshotCall>();
  table.stream(method, (call) => new SnapshotCall(parts, call, open), {
    access: 'handler',
    servedByLearner: true,
    holdsMemory: true,
  });
}

class SnapshotCall implements StreamHandler {
  readonly #parts: SnapshotParts;
  readonly #call: StreamCall;
  /** Snapshots being sent, oldest first; each pins pages of the file. */
  readonly #open: Set<SnapshotCall>;
  /** Read rate of the client, measured while the connection is full. */
  readonly #pace = new Pace();
  #begun = false;
  #ended = false;
  #onRoom: (() => void) | undefined;

  constructor(parts: SnapshotParts, call: StreamCall, open: Set<SnapshotCall>) {
    this.#parts = parts;
    this.#call = call;
    this.#open = open;
  }

  onMessage(message: Uint8Array): void {
    if (this.#begun || this.#ended) return;
    this.#begun = true;
    try {
      method.request.decodeRequest(message);
    } catch (error) {
      this.#ended = true;
      endMalformed(this.#call, error);
      return;
    }
    if (this.#parts.callers.areAsked) void this.#ask();
    else this.#begin();
  }

  /** The whole database is for administrators. */
  async #ask(): Promise<void> {
    const { callers } = this.#parts;
    const refusal = await callers.adminRefusal(callers.identify(this.#call));
    if (this.#ended) return;
    if (refusal === undefined) {
      this.#begin();
      return;
    }
    this.#ended = true;
    endWith(this.#call, refusal);
  }

  #begin(): void {
    if (this.#open.size >= SNAPSHOT_COPIES_MAX && !this.#makeRoom()) {
      this.#ended = true;
      endWith(this.#call, 'REQUEST_TOO_MANY_REQUESTS');
      return;
    }
    void this.#send();
  }

  /** Ends the oldest one whose client reads too slowly. */
  #makeRoom(): boolean {
    for (const other of this.#open) {
      if (!other.#isSlow()) continue;
      other.#makeWay();
      return true;
    }
    return false;
  }

  #isSlow(): boolean {
    const nowMs = this.#parts.env.clock.monotonicMs();
    return (
      !this.#ended && this.#pace.isBelow(SENT_SNAPSHOT_RATE_MIN, SENT_SNAPSHOT_GRACE_MS, nowMs)
    );
  }

  #makeWay(): void {
    this.#open.delete(this);
    this.#parts.log.warn('ended a snapshot whose client is slow, for another one', {
      'local-member-id': formatId(this.#parts.memberId),
    });
    this.#ended = true;
    endWith(this.#call, 'REQUEST_TOO_MANY_REQUESTS');
    this.#onRoom?.();
  }

  onEnd(): void {
    // The one request has arrived, or its absence is reported by gRPC.
  }

  onCancel(): void {
    this.#ended = true;
    this.#onRoom?.();
  }

  onDrain(): void {
    this.#onRoom?.();
  }

  async #send(): Promise<void> {
    const { store, log, memberId } = this.#parts;
    this.#open.add(this);
    let copy: DatabaseCopy | undefined;
    try {
      copy = await store.machine.backend.openCopy();
      const fields = { 'local-member-id': formatId(memberId), 'total-bytes': copy.size };
      log.info('sending database snapshot to client', fields);
      await this.#sendCopy(copy);
      if (this.#ended) return;
      log.info('successfully sent database snapshot to client', fields);
      this.#end(STATUS.OK, '');
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.CLOSED)) {
        log.warn('failed to send a snapshot to a client', { error: asError(error) });
      }
      this.#end(STATUS.UNAVAILABLE, error instanceof Error ? error.message : String(error));
    } finally {
      copy?.close();
      this.#open.delete(this);
    }
  }

  async #sendCopy(copy: DatabaseCopy): Promise<void> {
    const { storageVersion } = this.#parts.store;
    const version = storageVersion === undefined ? '' : formatStoredVersion(storageVersion);
    const hash = createHash('sha256');
    let remaining = copy.size;
    for await (const chunk of copy.chunks()) {
      for (let at = 0; at < chunk.length; at += SNAPSHOT_PIECE_BYTES) {
        const blob = chunk.subarray(at, at + SNAPSHOT_PIECE_BYTES);
        remaining -= blob.length;
        hash.update(blob);
        await this.#write({ remainingBytes: remaining, blob, version });
        if (this.#ended) return;
      }
    }
    await this.#write({ remainingBytes: 0, blob: hash.digest(), version });
  }

  /** Resolves when the connection has room. */
  async #write(piece: Omit<etcdserverpb.SnapshotResponse, 'header'>): Promise<void> {
    const { clock } = this.#parts.env;
    this.#pace.add(piece.blob.length, clock.monotonicMs());
    if (this.#call.write(method.response, { header: undefined, ...piece })) return;
    this.#pace.begin(clock.monotonicMs());
    await new Promise<void>((resolve) => {
      this.#onRoom = resolve;
      if (this.#ended) resolve();
    });
    this.#onRoom = undefined;
    this.#pace.end(clock.monotonicMs());
  }

  #end(status: Parameters<StreamCall['end']>[0], message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#call.end(status, message);
  }
}
