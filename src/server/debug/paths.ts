// Where the debug pages are.

export const PPROF_PATH = '/debug/pprof';
