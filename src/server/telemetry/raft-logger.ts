import { LOG_LEVELS, type LogLevel, type RaftLogger } from '../../raft/index.ts';
import type { Logger } from './log.ts';

/**
 * An info line that is frequent with asynchronous storage writes, since concurrent appends report the same
 * entries stable: logged at debug level.
 */
const ORDINARY = 'missing from unstable log; ignoring';

/** Raft's lines in the member's log. Its other info lines are a handful per election. */
export function raftLogger(log: Logger): RaftLogger {
  return {
    enabled: (level) => level !== LOG_LEVELS.DEBUG || log.debugEnabled,
    log: (level: LogLevel, text: string) => {
      if (level === LOG_LEVELS.DEBUG || text.endsWith(ORDINARY)) log.debug(text);
      else if (level === LOG_LEVELS.INFO) log.info(text);
      else if (level === LOG_LEVELS.WARN) log.warn(text);
      else log.error(text);
    },
  };
}
