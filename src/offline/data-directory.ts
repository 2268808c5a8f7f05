// The layout of the data directory, which is etcd's.

export interface DataDirectory {
  readonly snap: string;
  readonly wal: string;
  readonly database: string;
}

/** `walDir`: empty for the place within `dataDir`. */
export function dataDirectoryOf({
  dataDir,
  walDir = '',
}: {
  readonly dataDir: string;
  readonly walDir?: string;
}): DataDirectory {
  const snap = `${dataDir}/member/snap`;
  return {
    snap,
    wal: walDir === '' ? `${dataDir}/member/wal` : walDir,
    database: `${snap}/db`,
  };
}
