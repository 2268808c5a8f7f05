// Failures of a command: etcdctl's exit codes and its `Error:` line.

export const EXIT = {
  SUCCESS: 0,
  /** Anything that has no code of its own. */
  ERROR: 1,
  BAD_CONNECTION: 2,
  /** Malformed standard input. */
  INVALID_INPUT: 3,
  /** A valid flag with a value that is not supported. */
  BAD_FEATURE: 4,
  INTERRUPTED: 5,
  BAD_ARGS: 128,
} as const;

/** Ends the program with `code`, after `Error: ` and the text on standard error. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  readonly code: number;

  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }
}

/** Ends the program with a code and without a message, which has been printed already. */
export class SilentExit extends Error {
  override readonly name = 'SilentExit';
  readonly code: number;

  constructor(code: number) {
    super('exit');
    this.code = code;
  }
}

/** The text of an error that needs no other words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
