// How Go's os/exec words the failure of a program that was run.

import { EXIT } from './exit.ts';
import type { ExecResult } from './io.ts';

/** What an exit with -1 is to who waits for it: Go has no other code for a signal. */
const EXIT_OF_SIGNAL = 255;

const SIGNALS: Readonly<Record<string, string>> = {
  SIGABRT: 'aborted',
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGPIPE: 'broken pipe',
  SIGQUIT: 'quit',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
};

interface ExecFailure {
  readonly text: string;
  /** What the program that ran it exits with. */
  readonly code: number;
}

/** Undefined if it ended with 0. */
export function execFailure(
  command: readonly string[],
  { code, signal, error }: ExecResult,
): ExecFailure | undefined {
  if (error !== undefined) return { text: startFailure(command[0]!, error), code: EXIT.ERROR };
  if (code === 0) return undefined;
  if (code !== null) return { text: `exit status ${code}`, code };
  return { text: `signal: ${SIGNALS[signal ?? ''] ?? signal}`, code: EXIT_OF_SIGNAL };
}

function startFailure(program: string, error: Error & { readonly code?: string }): string {
  if (error.code !== 'ENOENT' && error.code !== 'EACCES') return error.message;
  if (!program.includes('/'))
    return `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
  const reason = error.code === 'ENOENT' ? 'no such file or directory' : 'permission denied';
  return `fork/exec ${program}: ${reason}`;
}
