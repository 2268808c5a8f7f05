// Lines of a command's log on standard error: JSON, as etcdctl has them.

import type { Io } from './io.ts';

export function logLine(
  io: Io,
  level: 'info' | 'warn' | 'error' | 'fatal',
  msg: string,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  const ts = new Date(io.wallMs()).toISOString();
  io.err(`${JSON.stringify({ level, ts, msg, ...fields })}\n`);
}
