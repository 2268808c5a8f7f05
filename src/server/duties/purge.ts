// Periodic removal of old log segments and `.snap` files.

import type { Env } from '../../env/index.ts';
import type { DataDirectory } from '../../offline/index.ts';
import { purgeSegments, purgeSnapFiles, type Wal } from '../../wal/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { asError, type Logger } from '../telemetry/log.ts';

export interface PurgeParts {
  readonly config: Pick<ServerConfig, 'maxWals' | 'maxSnapshots'>;
  readonly env: Env;
  readonly log: Logger;
  readonly directory: DataDirectory;
  readonly wal: Wal;
  readonly store: StoreView<'backend'>;
  readonly life: { readonly isStopping: boolean };
}

export async function purgeOldFiles(parts: PurgeParts): Promise<void> {
  const { config, env, log, directory, wal, store, life } = parts;
  try {
    if (config.maxWals > 0) await purgeSegments(env, wal, config.maxWals);
    if (config.maxSnapshots > 0) {
      const { index } = store.machine.backend.durable;
      await purgeSnapFiles(env.disk, directory.snap, config.maxSnapshots, index);
    }
  } catch (error) {
    if (!life.isStopping) log.warn('failed to purge old files', { error: asError(error) });
  }
}
