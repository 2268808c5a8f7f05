// The command `tetcdutl`: its tree of commands.

import type { Command } from 'commander';
import type { CommandLine } from '../shell/command-line.ts';
import { addCompletion } from '../shell/completion-command.ts';
import { messageOf } from '../shell/exit.ts';
import { addHelp } from '../shell/help-command.ts';
import type { Io } from '../shell/io.ts';
import { type Program, runProgram, treeOf } from '../shell/run-program.ts';
import type { Word } from '../shell/words.ts';
import { addBackup } from './backup.ts';
import { addCheck } from './check.ts';
import { type CommandTree, type Tools, toolsOf } from './command.ts';
import { addDefrag } from './defrag.ts';
import { addDump } from './dump.ts';
import { type GlobalOptions, globalFlags } from './global-flags.ts';
import { addHashKv } from './hashkv.ts';
import { addMigrate } from './migrate.ts';
import { addPreflight } from './preflight.ts';
import { addRecover } from './recover.ts';
import { addSnapshot } from './snapshot.ts';
import { addVersion } from './version.ts';

/** Runs one command line; resolves with the exit code. `argv` is without program and script. */
export function runTetcdutl(argv: readonly Word[], io: Io): Promise<number> {
  return runProgram(new Tetcdutl(io), argv, io);
}

/** The tree of commands, to be read. */
export function tetcdutlTree(io: Io): Command {
  return treeOf(new Tetcdutl(io), io);
}

class Tetcdutl implements Program<Tools> {
  readonly name = 'tetcdutl';
  readonly description = 'Works on data directories and database files that no member uses.';
  readonly errorText: (error: unknown) => string = messageOf;
  readonly #io: Io;

  constructor(io: Io) {
    this.#io = io;
  }

  context(_command: Command, _line: CommandLine, options: Record<string, unknown>): Tools {
    return toolsOf(this.#io, options as unknown as GlobalOptions);
  }

  build(root: Command, tree: CommandTree): void {
    for (const flag of globalFlags()) root.addOption(flag);
    addCompletion(root, tree);
    for (const add of [addDefrag, addHashKv, addMigrate, addSnapshot, addVersion]) add(root, tree);
    for (const add of [addBackup, addCheck, addDump, addPreflight, addRecover]) add(root, tree);
    addHelp(root, tree);
  }
}
