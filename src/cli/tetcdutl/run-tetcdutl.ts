// One run of `tetcdutl` as a process.

import { runAsProcess } from '../shell/run-as-process.ts';
import { runTetcdutl } from './program.ts';

/** Runs the command line and ends the process with its exit code. */
export function run(argv: readonly string[]): Promise<never> {
  return runAsProcess(argv, runTetcdutl);
}
