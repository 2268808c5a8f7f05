// One run of `tetcdctl` as a process.

import { runAsProcess } from '../shell/run-as-process.ts';
import { runTetcdctl } from './program.ts';

/** Runs the command line and ends the process with its exit code. */
export function main(argv: readonly string[]): Promise<never> {
  return runAsProcess(argv, runTetcdctl);
}
