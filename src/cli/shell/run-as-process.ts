// One run of a command-line program as a process.

import type { Io } from './io.ts';
import { argumentWords, createNodeIo } from './node-io.ts';
import type { Word } from './words.ts';

/** Runs `program` with the words of `argv`, and ends the process with its exit code. */
export async function runAsProcess(
  argv: readonly string[],
  program: (argv: readonly Word[], io: Io) => Promise<number>,
): Promise<never> {
  const io = createNodeIo();
  // A reader of the output that stops reading (`| head`) is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  const code = await program(await argumentWords(argv), io);
  await io.flush();
  // Pending input, or a closing connection, must not keep the process alive.
  process.exit(code);
}
