// What the backend reports: it has failed, the disk is full, a batch is on disk. Every backend of the
// member does, the one of a leader's snapshot included; the first before there is a member to hear it.

import type { StoreOptions } from '../boot/store-opening.ts';
import type { Snapshotter } from '../snapshot/snapshotter.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import type { StoreView } from './store-view.ts';

interface BackendReportsParts {
  readonly quota: { diskFull: boolean };
  readonly noSpaceAlarm: { raise(then: () => void): void };
  readonly snapshotter: Pick<Snapshotter, 'acceptCommit'>;
  readonly store: StoreView<'backend'>;
  readonly life: { readonly isStopping: boolean; fail(error: unknown): void };
}

export class BackendReports {
  readonly #log: Logger;
  readonly #metrics: Pick<ServerMetrics, 'disk'>;
  #parts: BackendReportsParts | undefined;
  /** Of a backend that failed before there was a member. */
  #failure: { readonly error: unknown } | undefined;

  constructor(log: Logger, metrics: Pick<ServerMetrics, 'disk'>) {
    this.#log = log;
    this.#metrics = metrics;
  }

  /** From now on these hear of it; throws what a backend has failed with until now. */
  attach(parts: BackendReportsParts): void {
    this.#parts = parts;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** For whoever opens a backend. */
  get callbacks(): Omit<StoreOptions, 'config' | 'env'> {
    return {
      onBackendFailure: (error) => this.#acceptFailure(error),
      onBackendDiskFull: (error) => this.#acceptDiskFull(error),
      onBackendCommit: (tookMs) => this.#acceptCommit(tookMs),
    };
  }

  #acceptFailure(error: unknown): void {
    if (this.#parts === undefined) this.#failure = { error };
    else this.#parts.life.fail(error);
  }

  #acceptDiskFull(error: unknown): void {
    if (this.#parts?.quota.diskFull !== true) {
      this.#log.error('the disk is full; the backend cannot be written', { error: asError(error) });
    }
    if (this.#parts === undefined || this.#parts.life.isStopping) return;
    const { quota, noSpaceAlarm } = this.#parts;
    quota.diskFull = true;
    // At each try, until it is raised: the log needs a leader to take it, and room for it.
    noSpaceAlarm.raise(() => undefined);
  }

  #acceptCommit(tookMs: number): void {
    this.#metrics.disk.backendCommitSeconds.observe(tookMs / 1000);
    if (this.#parts === undefined) return;
    const { quota, snapshotter, store } = this.#parts;
    if (quota.diskFull) {
      quota.diskFull = false;
      this.#log.info('there is room on the disk again; the backend is written');
    }
    snapshotter.acceptCommit(store.machine.backend.durable);
  }
}
