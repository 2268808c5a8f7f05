// The storage version of this member's database follows the cluster version. Downwards only once the log
// has nothing that the older release cannot read; durable before the member says that it is ready.

import { Slices, TetcdError } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  formatStoredVersion,
  SERVER_RELEASE,
} from '../../membership/index.ts';
import type { DataDirectory } from '../../offline/index.ts';
import {
  type Backend,
  isMigrated,
  migrateStorage,
  minimalVersionOf,
  planMigration,
  readStorageVersion,
} from '../../store/index.ts';
import { readWal, validSnapshots } from '../../wal/index.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { spokenVersion } from '../member-versions.ts';
import type { Snapshotter } from '../snapshot/snapshotter.ts';
import { asError, type Logger } from '../telemetry/log.ts';

interface StorageVersionParts {
  readonly env: Env;
  readonly log: Logger;
  readonly directory: Pick<DataDirectory, 'wal'>;
  readonly snapshotter: Pick<Snapshotter, 'whenIdle'>;
  readonly store: StoreView<'backend' | 'cluster'>;
  readonly life: { readonly isStopping: boolean };
}

export class StorageVersionMonitor {
  readonly #parts: StorageVersionParts;
  #running = false;
  #repeated = false;

  constructor(parts: StorageVersionParts) {
    this.#parts = parts;
  }

  /** Called periodically, and when the cluster version has changed; what fails is tried again then. */
  check(): void {
    this.#repeated = true;
    if (this.#running) return;
    this.#running = true;
    void this.#run().finally(() => {
      this.#running = false;
    });
  }

  async #run(): Promise<void> {
    while (this.#repeated && !this.#parts.life.isStopping) {
      this.#repeated = false;
      const { store, log } = this.#parts;
      const version = spokenVersion(store.machine.cluster.version);
      if (version === undefined || isMigrated(store.machine.backend, version)) continue;
      try {
        await this.#follow(version);
      } catch (error) {
        log.error('failed to update storage version', {
          'cluster-version': formatStoredVersion(version),
          error: asError(error),
        });
      }
    }
  }

  async #follow(version: ClusterVersion): Promise<void> {
    const { store, log } = this.#parts;
    const { backend } = store.machine;
    const present = readStorageVersion(backend);
    if (present !== undefined) {
      log.info('cluster version differs from storage version.', {
        'cluster-version': formatStoredVersion(version),
        'storage-version': formatStoredVersion(present),
      });
      if (compareVersions(version, present) < 0) await this.#checkLog(present, version);
    }
    // A leader's snapshot may have replaced the database, or another entry the version.
    const { machine } = store;
    if (machine.backend !== backend || machine.cluster.version !== version) {
      this.#repeated = true;
      return;
    }
    this.#migrate(backend, version);
    const { enabled, targetVersion } = machine.cluster.downgrade;
    if (!enabled) return;
    // An older release may open the file from now on.
    await backend.commit();
    log.info('The server is ready to downgrade', {
      'target-version': targetVersion,
      'server-version': SERVER_RELEASE,
    });
  }

  #migrate(backend: Backend, version: ClusterVersion): void {
    migrateStorage(backend, version, {
      onStep: (target) =>
        this.#parts.log.info('updated storage version', {
          'new-storage-version': formatStoredVersion(target),
        }),
    });
  }

  /** Rejects, in etcd's words, while the log since its last snapshot holds what `target` cannot read. */
  async #checkLog(present: ClusterVersion, target: ClusterVersion): Promise<void> {
    const { env, directory, snapshotter } = this.#parts;
    planMigration(present, target);
    // The cluster version's fall has begun one, which leaves less to read.
    await snapshotter.whenIdle();
    const { index, term } = (await validSnapshots(env, directory.wal)).at(-1) ?? {
      index: 0,
      term: 0,
    };
    const { entries } = await readWal(env, directory.wal, { index, term });
    const minimal = await minimalVersionOf(entries, new Slices(env));
    if (minimal === undefined || compareVersions(target, minimal) >= 0) return;
    throw new TetcdError(
      'UNSUPPORTED',
      `cannot downgrade storage, WAL contains newer entries, as the target version ` +
        `(${formatStoredVersion(target)}) is lower than the version ` +
        `(${formatStoredVersion(minimal)}) detected from WAL logs`,
    );
  }
}
