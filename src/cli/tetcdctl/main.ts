// One run of `tetcdctl` as a process.

import { argumentWords, createNodeIo } from '../shell/node-io.ts';
import { runTetcdctl } from './program.ts';

/** Runs the command line and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<never> {
  const io = createNodeIo();
  // A reader of the output that stops reading (`| head`) is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  const code = await runTetcdctl(await argumentWords(argv), io);
  await io.flush();
  // Pending input, or a closing connection, must not keep the process alive.
  process.exit(code);
}
