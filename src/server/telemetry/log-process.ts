// Routes Node's own output on stderr through the log, so that every line has the log's form.

import type { EventEmitter } from 'node:events';
import type { Logger } from './log.ts';

/** The part of `process` that this file needs. */
type ProcessEvents = Pick<EventEmitter, 'on' | 'removeAllListeners'>;

/**
 * Logs Node's warnings instead of printing them, and an uncaught error as `fatal` before `stop` is called
 * with it, since the state of the member cannot be trusted any more.
 */
export function logProcessTrouble(
  events: ProcessEvents,
  log: Logger,
  stop: (error: unknown) => void,
): void {
  events.removeAllListeners('warning');
  events.on('warning', (warning: Error) => {
    log.warn('warning from the runtime', { name: warning.name, error: warning.message });
  });
  const die = (error: unknown): void => {
    const known = error instanceof Error ? error : new Error(String(error));
    log.fatal('uncaught failure; the member stops', {
      error: known.message,
      stacktrace: known.stack,
    });
    stop(error);
  };
  events.on('uncaughtException', die);
  events.on('unhandledRejection', die);
}
