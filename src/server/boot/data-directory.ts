// Where a member keeps what: etcd's layout.

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
