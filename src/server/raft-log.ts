import { LOG_LEVELS, type LogLevel, type RaftLogger } from '../raft/index.ts';
import type { Logger } from './log.ts';

/** Raft's lines in the member's log. Its info lines are a handful per election. */
export function raftLogger(log: Logger): RaftLogger {
  return {
    enabled: (level) => level !== LOG_LEVELS.DEBUG || log.debugEnabled,
    log: (level: LogLevel, text: string) => {
      if (level === LOG_LEVELS.DEBUG) log.debug(text);
      else if (level === LOG_LEVELS.INFO) log.info(text);
      else if (level === LOG_LEVELS.WARN) log.warn(text);
      else log.error(text);
    },
  };
}
