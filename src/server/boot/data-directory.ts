// The layout of the data directory, which is etcd's.

import type { ServerConfig } from '../config/index.ts';

export interface DataDirectory {
  readonly snap: string;
  readonly wal: string;
  readonly database: string;
}

export function dataDirectoryOf(config: Pick<ServerConfig, 'dataDir' | 'walDir'>): DataDirectory {
  const snap = `${config.dataDir}/member/snap`;
  return {
    snap,
    wal: config.walDir === '' ? `${config.dataDir}/member/wal` : config.walDir,
    database: `${snap}/db`,
  };
}
