// The command `tetcdctl`: its tree of commands, and the execution of one.

import { Command, CommanderError } from 'commander';
import type { CommandInit, CommandTree, Invocation } from '../shell/command.ts';
import { type CommandLine, flagsOf, readCommandLine, UsageError } from '../shell/command-line.ts';
import { flagsFromEnvironment, variableOf } from '../shell/environment.ts';
import { errorText } from '../shell/error-text.ts';
import { EXIT, ExitError, SilentExit } from '../shell/exit.ts';
import type { Flag, FlagValue } from '../shell/flags.ts';
import { helpText, usageText } from '../shell/help.ts';
import type { Io } from '../shell/io.ts';
import type { Word } from '../shell/words.ts';
import { addAlarm } from './alarm/alarm.ts';
import { addAuth } from './auth/auth.ts';
import { addRole } from './auth/role.ts';
import { addUser } from './auth/user.ts';
import { addDowngrade } from './downgrade/downgrade.ts';
import { addDefrag } from './endpoint/defrag.ts';
import { addEndpoint } from './endpoint/endpoint.ts';
import { type GlobalOptions, globalFlags } from './global-flags.ts';
import { addHelp } from './help-command.ts';
import { addCompaction } from './kv/compaction.ts';
import { addDel } from './kv/del.ts';
import { addGet } from './kv/get.ts';
import { addPut } from './kv/put.ts';
import { addTxn } from './kv/txn.ts';
import { addWatch } from './kv/watch.ts';
import { addLease } from './lease/lease.ts';
import { addMember } from './member/member.ts';
import { addMoveLeader } from './member/move-leader.ts';
import { addMissingCommands } from './missing-commands.ts';
import { addOptions } from './options.ts';
import type { Session } from './session.ts';
import { addVersion } from './version.ts';

const PROGRAM_NAME = 'tetcdctl';

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
      error.showUsage ? `${usageText(command)}\n` : `Run '${PROGRAM_NAME} --help' for usage.\n`,
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
    const line = readCommandLine(this.root, argv);
    if (line.wantsHelp) {
      this.#io.out(helpText(line.command));
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
    const options: Record<string, unknown> = { ...command.optsWithGlobals() };
    return {
      io: this.#io,
      options: options as Options,
      words,
      wordsBeforeDash,
      session: async () => {
        const session = await this.#open(command, options);
        await session.connect();
        return session;
      },
      sessionOfEndpoints: () => this.#open(command, options),
    };
  }

  /** Adds the flags that the environment sets to `options`. */
  async #open(command: Command, options: Record<string, unknown>): Promise<Session> {
    if (this.session !== undefined) return this.session;
    const { given } = this.#line!;
    for (const [flag, value] of flagsFromEnvironment(command, given, this.#io)) {
      options[flag.attributeName()] = value;
    }
    const globals = options as unknown as GlobalOptions;
    if (globals.debug) this.#showSettings(options);
    // Loaded only by commands that connect to a server.
    const { Session } = await import('./session.ts');
    this.session = await Session.open(this.#io, globals, given);
    return this.session;
  }

  #showSettings(options: Readonly<Record<string, unknown>>): void {
    for (const flag of flagsOf(this.root)) {
      const text = flag.show(options[flag.attributeName()] as FlagValue);
      this.#io.err(`${variableOf(flag)}=${withoutSecret(flag, text)}\n`);
    }
  }
}

function withoutSecret({ long }: Flag, text: string): string {
  if (long === '--user') return text.replace(/:.*/s, ':***');
  const isSecret = long === '--password' || long === '--auth-jwt-token';
  return isSecret && text !== '' ? '***' : text;
}

function buildTree(tree: CommandTree): Command {
  const root = new Command(PROGRAM_NAME)
    .description('Talks to an etcd cluster from the command line.')
    .usage('[command]')
    .helpOption(false)
    .helpCommand(false)
    .exitOverride();
  for (const flag of globalFlags()) root.addOption(flag);
  for (const add of [addGet, addPut, addDel, addTxn, addWatch, addLease, addCompaction]) {
    add(root, tree);
  }
  for (const add of [addEndpoint, addMember, addMoveLeader, addAlarm, addDefrag, addDowngrade])
    add(root, tree);
  for (const add of [addAuth, addUser, addRole]) add(root, tree);
  for (const add of [addHelp, addOptions, addVersion]) add(root, tree);
  addMissingCommands(root);
  return root;
}
