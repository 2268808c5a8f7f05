// One run of `tetcdctl` as a process.

import { argumentWords, createNodeIo } from '../shell/node-io.ts';
import { runTetcdctl } from './program.ts';

/** Runs the command line and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<never> {
  const io = createNodeIo();
  // A reader of our output that stops reading (`| head`) is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  const code = await runTetcdctl(await argumentWords(argv), io);
  await io.flush();
  // Pending input, or a connection that is closing, must not hold the process.
  process.exit(code);
}
