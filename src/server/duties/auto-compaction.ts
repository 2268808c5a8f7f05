// Automatic compaction: of what is older than a time, or further back than so many revisions. Every member
// takes note of revisions, the leader alone compacts. Intervals, rules and log lines are those of etcd
// v3.7.1 `server/etcdserver/api/v3compactor`.

import { goDuration, invariant, type Revision } from '../../base/index.ts';
import type { Env, Timer } from '../../env/index.ts';
import { ETCD_ERRORS, type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StoreView } from '../consensus/store-view.ts';
import {
  COMPACTION_ATTEMPTS,
  COMPACTION_INTERVAL_MS_MAX,
  COMPACTION_INTERVAL_MS_MIN,
  REVISION_COMPACTION_INTERVAL_MS,
} from '../limits.ts';
import type { LogFields, Logger } from '../telemetry/log.ts';

export interface AutoCompactionParts {
  readonly config: Pick<ServerConfig, 'autoCompaction'>;
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly log: Logger;
  readonly raft: Pick<RaftState, 'leads'>;
  readonly proposals: Pick<Proposals, 'propose'>;
  readonly store: StoreView<'kv'>;
}

/** Which revision to compact at, asked at an interval. */
interface Policy {
  readonly name: 'periodic' | 'revision';
  readonly intervalMs: number;
  /** What the log says of the setting. */
  readonly fields: LogFields;
  /** An interval begins, on every member. */
  begin(newest: Revision): void;
  /** An interval has ended, on the leader; undefined if nothing is due. */
  due(newest: Revision, nowMs: number): Revision | undefined;
  /** Everything up to that revision is compacted. */
  done(revision: Revision, nowMs: number): void;
}

export class AutoCompaction {
  readonly #parts: AutoCompactionParts;
  /** Undefined: switched off. */
  readonly #policy: Policy | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: AutoCompactionParts) {
    this.#parts = parts;
    const { mode, retention } = parts.config.autoCompaction;
    if (retention === 0) this.#policy = undefined;
    else if (mode === 'revision') this.#policy = new RevisionPolicy(retention);
    else this.#policy = new PeriodicPolicy(retention, parts.env.clock.monotonicMs());
  }

  start(): void {
    if (this.#policy !== undefined) this.#begin(this.#policy);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #begin(policy: Policy): void {
    const { env, store } = this.#parts;
    if (this.#stopped) return;
    policy.begin(store.machine.kv.currentRev);
    this.#timer = env.timers.after(policy.intervalMs, () => {
      void this.#look(policy).then(() => this.#begin(policy));
    });
  }

  async #look(policy: Policy): Promise<void> {
    const { env, log, raft, store } = this.#parts;
    if (!raft.leads) return;
    const began = env.clock.monotonicMs();
    const revision = policy.due(store.machine.kv.currentRev, began);
    if (revision === undefined) return;
    const fields = { revision, ...policy.fields };
    log.info(`starting auto ${policy.name} compaction`, fields);
    const error = await this.#compact(revision);
    if (this.#stopped) return;
    const now = env.clock.monotonicMs();
    if (error !== undefined && error !== 'COMPACTED') {
      log.warn(`failed auto ${policy.name} compaction`, {
        ...fields,
        'retry-interval': durationOf(policy.intervalMs),
        error: ETCD_ERRORS[error].message,
      });
      return;
    }
    policy.done(revision, now);
    const took = durationOf(now - began);
    log.info(`completed auto ${policy.name} compaction`, { ...fields, took });
  }

  #compact(revision: Revision): Promise<EtcdErrorName | undefined> {
    const codec = etcdserverpb.CompactionRequestCodec;
    const body = codec.encode(codec.create({ revision }));
    return new Promise((resolve) => {
      this.#parts.proposals.propose(REQUEST_KIND.COMPACTION, undefined, body, 0, body.length, {
        complete: (result) => resolve(result.kind === 'error' ? result.error : undefined),
        fail: resolve,
      });
    });
  }
}

/** Keeps the history of a time: compacts at the revision of that long ago. */
class PeriodicPolicy implements Policy {
  readonly name = 'periodic';
  readonly intervalMs: number;
  readonly fields: LogFields;
  readonly #periodMs: number;
  /** Of the last period, an interval apart, oldest first. */
  readonly #revisions: Revision[] = [];
  readonly #revisionsMax: number;
  #last = 0;
  #lastMs: number;
  /** Time since the last compaction: the whole period before the first one. */
  #waitMs: number;

  constructor(periodMs: number, nowMs: number) {
    invariant(periodMs > 0, 'a period has a length');
    const hourMax = Math.min(periodMs, COMPACTION_INTERVAL_MS_MAX);
    this.#periodMs = periodMs;
    this.intervalMs = Math.max(hourMax / COMPACTION_ATTEMPTS, COMPACTION_INTERVAL_MS_MIN);
    this.#revisionsMax = Math.floor(periodMs / this.intervalMs) + 1;
    this.#lastMs = nowMs;
    this.#waitMs = periodMs;
    this.fields = { 'compact-period': durationOf(periodMs) };
  }

  begin(newest: Revision): void {
    this.#revisions.push(newest);
    if (this.#revisions.length > this.#revisionsMax) this.#revisions.shift();
  }

  due(_newest: Revision, nowMs: number): Revision | undefined {
    const [oldest] = this.#revisions;
    invariant(oldest !== undefined, 'an interval that ends has begun');
    if (nowMs - this.#lastMs < this.#waitMs || oldest === this.#last) return undefined;
    this.#waitMs = Math.min(this.#periodMs, COMPACTION_INTERVAL_MS_MAX);
    return oldest;
  }

  done(revision: Revision, nowMs: number): void {
    this.#last = revision;
    this.#lastMs = nowMs;
  }
}

/** Keeps so many revisions. */
class RevisionPolicy implements Policy {
  readonly name = 'revision';
  readonly intervalMs = REVISION_COMPACTION_INTERVAL_MS;
  readonly fields: LogFields;
  readonly #retention: number;
  #last = 0;

  constructor(retention: number) {
    this.#retention = retention;
    this.fields = { 'revision-compaction-retention': retention };
  }

  begin(): void {
    // The newest revision is all that counts.
  }

  due(newest: Revision): Revision | undefined {
    const revision = (newest - this.#retention) as Revision;
    return revision <= 0 || revision === this.#last ? undefined : revision;
  }

  done(revision: Revision): void {
    this.#last = revision;
  }
}

function durationOf(ms: number): string {
  return goDuration(ms * 1e6);
}
