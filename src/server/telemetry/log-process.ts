// What Node itself would print on stderr goes through the log, so that every line there keeps the
// log's form.

import type { EventEmitter } from 'node:events';
import type { Logger } from './log.ts';

/** The part of `process` that this file needs. */
type ProcessEvents = Pick<EventEmitter, 'on' | 'removeAllListeners'>;

/**
 * Logs Node's warnings instead of printing them, and an uncaught failure as `fatal` before
 * `stop` is called with it: what the member holds can then not be trusted.
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
