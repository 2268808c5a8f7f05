// Reports of backends: a failure, a full disk, a commit. They come from every backend of the member, the
// one of a leader's snapshot included; from the first even before the member's parts exist.

import type { CommitTook } from '../../store/index.ts';
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
  /** Failure of a backend before {@link attach}. */
  #failure: { readonly error: unknown } | undefined;

  constructor(log: Logger, metrics: Pick<ServerMetrics, 'disk'>) {
    this.#log = log;
    this.#metrics = metrics;
  }

  /** Sets the receivers of reports; throws the failure of a backend so far. */
  attach(parts: BackendReportsParts): void {
    this.#parts = parts;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Callbacks for opening a backend. */
  get callbacks(): Omit<StoreOptions, 'config' | 'env'> {
    return {
      onBackendFailure: (error) => this.#acceptFailure(error),
      onBackendDiskFull: (error) => this.#acceptDiskFull(error),
      onBackendCommit: (took) => this.#acceptCommit(took),
      onBackendCopyClosed: (openMs) =>
        this.#metrics.disk.backendSnapshotSeconds.observe(openMs / 1000),
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
    // At each retry, until it is raised: the proposal needs a leader, and room in the log.
    noSpaceAlarm.raise(() => undefined);
  }

  #acceptCommit({ totalMs, rebalanceMs, spillMs, writeMs }: CommitTook): void {
    const { disk } = this.#metrics;
    disk.backendCommitSeconds.observe(totalMs / 1000);
    disk.backendRebalanceSeconds.observe(rebalanceMs / 1000);
    disk.backendSpillSeconds.observe(spillMs / 1000);
    disk.backendWriteSeconds.observe(writeMs / 1000);
    if (this.#parts === undefined) return;
    const { quota, snapshotter, store } = this.#parts;
    if (quota.diskFull) {
      quota.diskFull = false;
      this.#log.info('there is room on the disk again; the backend is written');
    }
    snapshotter.acceptCommit(store.machine.backend.durable);
  }
}
