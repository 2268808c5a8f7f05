// The command `tetcdctl`: its tree of commands, how one is run, and how it ends.

import { Command, CommanderError } from 'commander';
import { addAlarm } from '../commands/alarm.ts';
import { addCompaction } from '../commands/compaction.ts';
import { addDel } from '../commands/del.ts';
import { addEndpoint } from '../commands/endpoint.ts';
import { addGet } from '../commands/get.ts';
import { addLease } from '../commands/lease.ts';
import { addMember } from '../commands/member.ts';
import { addMoveLeader } from '../commands/move-leader.ts';
import { addOptions } from '../commands/options.ts';
import { addPut } from '../commands/put.ts';
import { addTxn } from '../commands/txn.ts';
import { addVersion } from '../commands/version.ts';
import { addWatch } from '../commands/watch.ts';
import type { CommandInit, CommandTree, Invocation } from './command.ts';
import { type CommandLine, flagsOf, readCommandLine, UsageError } from './command-line.ts';
import { flagsFromEnvironment, variableOf } from './environment.ts';
import { errorText } from './error-text.ts';
import { EXIT, ExitError, SilentExit } from './exit.ts';
import { Flag, type FlagValue } from './flags.ts';
import { type GlobalOptions, globalFlags } from './global-flags.ts';
import type { Io } from './io.ts';
import { Session } from './session.ts';
import type { Word } from './words.ts';

export const PROGRAM_NAME = 'tetcdctl';

/** Whatever the terminal's: descriptions are broken into lines already. */
const HELP_WIDTH = 100;
const HELP_END = `"${PROGRAM_NAME} options" lists the flags that every command takes.\n`;

/** Runs one command line; resolves with the exit code. `argv` is without program and script. */
export async function runTetcdctl(argv: readonly Word[], io: Io): Promise<number> {
  const execution = new Execution(io);
  try {
    await execution.run(argv);
    return EXIT.SUCCESS;
  } catch (error) {
    return reportFailure(error, io);
  } finally {
    execution.session?.close();
  }
}

function reportFailure(error: unknown, io: Io): number {
  if (error instanceof SilentExit) return error.code;
  if (error instanceof ExitError) {
    io.err(`Error: ${error.message}\n`);
    return error.code;
  }
  if (error instanceof UsageError) {
    const { command } = error;
    io.err(`Error: ${error.message}\n`);
    io.err(
      error.showUsage
        ? `${command.helpInformation({ error: true })}\n`
        : `Run '${PROGRAM_NAME} --help' for usage.\n`,
    );
    return EXIT.ERROR;
  }
  if (error instanceof CommanderError) {
    io.err(`Error: ${error.message}\n`);
    return EXIT.ERROR;
  }
  io.err(`Error: ${errorText(error)}\n`);
  return EXIT.ERROR;
}

class Execution implements CommandTree {
  readonly root: Command;
  session: Session | undefined = undefined;
  readonly #io: Io;
  #line: CommandLine | undefined = undefined;

  constructor(io: Io) {
    this.#io = io;
    this.root = buildTree(this);
  }

  async run(argv: readonly Word[]): Promise<void> {
    const line = readCommandLine(this.root, helpFirst(argv));
    if (line.wantsHelp) {
      this.#io.out(`${line.command.helpInformation()}\n${HELP_END}`);
      return;
    }
    this.#line = line;
    await this.root.parseAsync([...line.canonical], { from: 'user' });
  }

  add<Options>(parent: Command, init: CommandInit<Options>): Command {
    const command = parent
      .command(init.name)
      .usage(init.usage)
      .summary(init.summary)
      .description(init.description ?? init.summary)
      .helpOption(false)
      .helpCommand(false);
    if (init.group !== undefined) command.helpGroup(init.group);
    for (const flag of init.flags ?? []) command.addOption(flag);
    const { run } = init;
    if (run === undefined) return command;
    return command
      .argument('[words...]')
      .action((_words: string[], _options: unknown, self: Command) =>
        run(this.#invocation<Options>(self)),
      );
  }

  #invocation<Options>(command: Command): Invocation<Options> {
    const { words, wordsBeforeDash } = this.#line!;
    return {
      io: this.#io,
      options: command.optsWithGlobals() as Options,
      words,
      wordsBeforeDash,
      session: () => this.#open(command),
    };
  }

  async #open(command: Command): Promise<Session> {
    if (this.session !== undefined) return this.session;
    const { given } = this.#line!;
    const found = flagsFromEnvironment(this.root, given, this.#io);
    const options: Record<string, unknown> = { ...command.optsWithGlobals() };
    for (const flag of flagsOf(this.root)) {
      const word = found.get(flag.long!.slice(2));
      if (word === undefined) continue;
      const parsed = flag.read(word);
      if (parsed.reason === undefined) options[flag.attributeName()] = parsed.value;
    }
    const globals = options as unknown as GlobalOptions;
    if (globals.debug) this.#showSettings(options);
    this.session = await Session.open(this.#io, globals);
    return this.session;
  }

  #showSettings(options: Readonly<Record<string, unknown>>): void {
    for (const flag of flagsOf(this.root)) {
      const isSecret = flag.long === '--password' || flag.long === '--auth-jwt-token';
      const text = flag.show(options[flag.attributeName()] as FlagValue);
      const value = isSecret && text !== '' ? '***' : text;
      this.#io.err(`${variableOf(flag)}=${value}\n`);
    }
  }
}

/** `help get` is `get --help`. */
function helpFirst(argv: readonly Word[]): readonly Word[] {
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
}

function buildTree(tree: CommandTree): Command {
  const root = new Command(PROGRAM_NAME)
    .description('Talks to an etcd cluster from the command line.')
    .usage('[command]')
    .helpOption(false)
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ getOutHelpWidth: () => HELP_WIDTH, getErrHelpWidth: () => HELP_WIDTH });
  root.configureHelp({
    subcommandTerm: (command) => command.name(),
    optionTerm: (option) => (option instanceof Flag ? option.term : option.flags),
    optionDescription: (option) => (option instanceof Flag ? option.shownHelp : option.description),
    // Those of all commands have a command of their own.
    visibleOptions: (command) =>
      command.parent === null ? [] : command.options.filter((option) => !option.hidden),
  });
  for (const flag of globalFlags()) root.addOption(flag);
  for (const add of [addGet, addPut, addDel, addTxn, addWatch, addLease, addCompaction]) {
    add(root, tree);
  }
  for (const add of [addEndpoint, addMember, addMoveLeader, addAlarm]) add(root, tree);
  for (const add of [addOptions, addVersion]) add(root, tree);
  return root;
}
