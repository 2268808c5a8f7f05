// Raft's log lines, in etcd's words. A line is built only if its level is on.

/** Levels of lines, least important first. */
export const LOG_LEVELS = { DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3 } as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[keyof typeof LOG_LEVELS];

/** Where log lines go. Both methods are called within `step`, `tick` and the like. */
export interface RaftLogger {
  /** Whether lines of this level are wanted; asked before a line is built. */
  enabled(level: LogLevel): boolean;
  /** Takes one line, without a line end. */
  log(level: LogLevel, text: string): void;
}

/** Discards all lines, without building their text. */
export const SILENT_LOGGER: RaftLogger = { enabled: () => false, log: () => undefined };
