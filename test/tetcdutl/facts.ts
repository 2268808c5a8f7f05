// Every command of etcdutl 3.7.1 with its flags, as its help names them. Compared with the program where
// it is there; each line must be met by a row of the table of compared command lines.

/** Flags by command; those of all commands under the empty name. Flags for help are left out. */
export const FACTS: Readonly<Record<string, readonly string[]>> = {
  '': ['--timeout', '--write-out'],
  completion: [],
  defrag: ['--data-dir'],
  hashkv: ['--rev'],
  help: [],
  migrate: ['--data-dir', '--force', '--target-version'],
  snapshot: [],
  'snapshot restore': [
    '--bump-revision',
    '--data-dir',
    '--initial-advertise-peer-urls',
    '--initial-cluster',
    '--initial-cluster-token',
    '--initial-memory-map-size',
    '--mark-compacted',
    '--name',
    '--skip-hash-check',
    '--wal-dir',
  ],
  'snapshot status': [],
  version: [],
};

/** Values of `--write-out`. */
export const FORMS = ['fields', 'json', 'protobuf', 'simple', 'table'] as const;
