// What an output of lines has to offer to `LineOutputs`.

/** Linux's PIPE_BUF: bytes that a pipe takes as a whole or not at all, so other writers cut no line. */
export const CHUNK_BYTES = 4096;

/** Of what was taken: all is written, a try to write it failed just now, or some of it waits. */
export type Settled = 'written' | 'failed' | 'waiting';

/** Where the lines of an output go. */
export interface LineTarget {
  /** Lines of together so many bytes at most are handed over as one chunk; 0: each on its own. */
  readonly chunkBytes: number;
  /** How long the end of the process waits for it; default: as for a pipe. */
  readonly endWaitMs?: number;
  /** The form in which it takes a line. */
  encode(line: string): Buffer;
  /**
   * Takes the first bytes of a chunk and returns how many, without waiting. Throws an error with a code:
   * EAGAIN to be asked again soon, EMSGSIZE for a chunk that it will never take, another to be asked later.
   */
  write(chunk: Buffer): number;
  /** Nothing more is to be taken for now. Throws as {@link write}. */
  rest?(): void;
  /** A target that has this calls it when it may take bytes again after an EAGAIN: it need not be asked. */
  onRoom?: (() => void) | undefined;
  /** For one that takes bytes before they are written: waits for that, `limitMs` at most. */
  settle?(limitMs: number): Settled;
  /** Takes nothing from now on. False: a system call of it is not done after `limitMs`, and goes on. */
  close?(limitMs: number): boolean;
}
