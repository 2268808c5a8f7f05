// What the commands of `tetcdutl` share: the disk, time, and what the flags of all commands say.

import type { Env } from '../../env/index.ts';
import { createNodeEnv } from '../../net/index.ts';
import type { LockOptions, Report } from '../../offline/index.ts';
import type * as shell from '../shell/command.ts';
import { goJson } from '../shell/go-json.ts';
import type { Io } from '../shell/io.ts';
import type { GlobalOptions } from './global-flags.ts';
import { type Output, outputOf } from './output.ts';

export interface Tools {
  readonly env: Env;
  /** By `--timeout`. */
  readonly lock: LockOptions;
  /** A line on standard error of what is done. */
  readonly report: Report;
  /** Prints in the form of `--write-out`. BAD_FEATURE if that is none. */
  output(): Output;
}

export type CommandTree = shell.CommandTree<Tools>;

export function toolsOf(io: Io, { timeout, writeOut }: GlobalOptions): Tools {
  return {
    env: createNodeEnv(),
    lock: { lockTimeoutMs: timeout },
    report: (text, fields) => {
      const time = new Date(io.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
      io.err(`${time}\tinfo\t${text}\t${goJson(fields)}\n`);
    },
    output: () => outputOf(io, writeOut),
  };
}
