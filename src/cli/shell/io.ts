// The effects of a command on its process.

import type { Disk, ServiceHost } from '../../env/index.ts';

/** Exit of a program that a command started. */
export interface ExecResult {
  /** Null if a signal ended it, or if it could not be started. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it could not be started. */
  readonly error: Error | undefined;
}

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output. Text is UTF-8. */
  out(data: string | Uint8Array): void;
  /** Standard error. */
  err(text: string): void;
  /** The rest of standard input. */
  readAll(): Promise<Uint8Array>;
  /** The next line of standard input, without line end; undefined if there is no complete one. */
  readLine(): Promise<Uint8Array | undefined>;
  /**
   * Prints the prompt on standard output and reads a line of standard input that is not shown while it
   * is typed: without its end, or what there is if the input ends before. SilentExit if it is
   * interrupted.
   */
  askHidden(prompt: string): Promise<string>;
  /** Rejects with a text that names the file; an errno, as `ENOENT`, is the `code` of its cause. */
  readFile(path: string): Promise<Uint8Array>;
  /** The disk of the process; paths may be relative. */
  disk(): Promise<Disk>;
  /** Columns of the terminal that standard error is; undefined if it is none. */
  readonly terminalColumns: number | undefined;
  /** Hosts of a service in the DNS (SRV records). Rejects with a TetcdError if there are none. */
  resolveService(name: string): Promise<readonly ServiceHost[]>;
  wallMs(): number;
  /** Nanoseconds since an arbitrary start. */
  monotonicNs(): number;
  sleep(ms: number): Promise<void>;
  /** Calls `tick` at this interval until the returned function is called. */
  every(ms: number, tick: () => void): () => void;
  /**
   * Aborted by the first SIGINT or SIGTERM from now on, which then does not end the process; a second one
   * does. The reason is an error with the text `context canceled`.
   */
  stopSignal(): AbortSignal;
  /** Runs a program with these variables added; it inherits standard output and error. */
  exec(command: readonly string[], env: Readonly<Record<string, string>>): Promise<ExecResult>;
}
