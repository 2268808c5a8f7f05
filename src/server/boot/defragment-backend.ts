// Log lines and metrics of a defragmentation, in etcd's form. The member serves during it; see
// `store/backend/defragmentation.ts`.

import { goDuration, humanBytes } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { type Backend, type DefragmentProgress, defragment } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { DEFRAGMENT_LOG_INTERVAL_MS } from '../limits.ts';
import { asError, type LogFields, type Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';

export interface DefragmentParts {
  readonly env: Env;
  readonly log: Logger;
  readonly metrics: Pick<ServerMetrics, 'disk' | 'own'>;
}

/** Resolves when the new file is in use; rejects, as the store's does, with nothing changed. */
export async function defragmentBackend(
  { env, log, metrics }: DefragmentParts,
  backend: Backend,
): Promise<void> {
  const { clock } = env;
  const { path } = backend.database;
  const { sizeBytes, sizeInUseBytes } = backend;
  const began = clock.monotonicMs();
  let told = began;
  const onProgress = ({ copiedBytes, expectedBytes }: DefragmentProgress) => {
    metrics.own.defragCopiedBytes.value = copiedBytes;
    const now = clock.monotonicMs();
    if (now - told < DEFRAGMENT_LOG_INTERVAL_MS) return;
    told = now;
    log.info('defragmenting: the new file is being written', {
      path,
      'copied-bytes': copiedBytes,
      copied: humanBytes(copiedBytes),
      'expected-bytes': expectedBytes,
      expected: humanBytes(expectedBytes),
    });
  };
  log.info('defragmenting', { path, ...sizeFields(backend) });
  metrics.disk.defragInflight.value = 1;
  try {
    await defragment(env, backend, onProgress);
  } finally {
    metrics.disk.defragInflight.value = 0;
    metrics.own.defragCopiedBytes.value = 0;
  }
  const tookMs = clock.monotonicMs() - began;
  metrics.disk.backendDefragSeconds.observe(tookMs / 1000);
  log.info('finished defragmenting directory', {
    path,
    'current-db-size-bytes-diff': backend.sizeBytes - sizeBytes,
    'current-db-size-bytes': backend.sizeBytes,
    'current-db-size': humanBytes(backend.sizeBytes),
    'current-db-size-in-use-bytes-diff': backend.sizeInUseBytes - sizeInUseBytes,
    'current-db-size-in-use-bytes': backend.sizeInUseBytes,
    'current-db-size-in-use': humanBytes(backend.sizeInUseBytes),
    took: goDuration(tookMs * 1e6),
  });
}

/**
 * At start, if it frees at least `--bootstrap-defrag-threshold-megabytes`. If it fails, the member starts
 * with the database as it is.
 */
export async function defragmentAtStart(
  options: DefragmentParts & {
    readonly config: Pick<ServerConfig, 'bootstrapDefragThresholdBytes'>;
    /** Aborted when the start is cancelled. */
    readonly signal?: AbortSignal | undefined;
  },
  backend: Backend,
): Promise<void> {
  const { log, config, signal } = options;
  const { bootstrapDefragThresholdBytes: threshold } = config;
  if (threshold === 0 || signal?.aborted === true) return;
  if (backend.sizeBytes - backend.sizeInUseBytes < threshold) {
    log.info('Skipping defragmentation', {
      ...sizeFields(backend),
      'bootstrap-defrag-threshold-bytes': threshold,
      'bootstrap-defrag-threshold': humanBytes(threshold),
    });
    return;
  }
  const giveUp = () => void backend.refuseExchanges();
  signal?.addEventListener('abort', giveUp);
  try {
    await defragmentBackend(options, backend);
  } catch (error) {
    log.warn('failed to defragment', { error: asError(error) });
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}

function sizeFields({ sizeBytes, sizeInUseBytes }: Backend): LogFields {
  return {
    'current-db-size-bytes': sizeBytes,
    'current-db-size': humanBytes(sizeBytes),
    'current-db-size-in-use-bytes': sizeInUseBytes,
    'current-db-size-in-use': humanBytes(sizeInUseBytes),
  };
}
