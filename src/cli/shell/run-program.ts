// One run of a command-line program: its tree of commands, the execution of one, and its exit code.

import { Command, CommanderError } from 'commander';
import type { CommandInit, CommandTree } from './command.ts';
import { type CommandLine, readCommandLine, UsageError } from './command-line.ts';
import { EXIT, ExitError, SilentExit } from './exit.ts';
import { helpText, usageText } from './help.ts';
import type { Io } from './io.ts';
import { textOfWord, type Word } from './words.ts';

/** A program; `Context` is what its commands get besides options and words. */
export interface Program<Context> {
  readonly name: string;
  readonly description: string;
  /** Adds the flags of all commands, and the commands. */
  build(root: Command, tree: CommandTree<Context>): void;
  /** `options` are those that the command gets; what is changed there is changed for it. */
  context(command: Command, line: CommandLine, options: Record<string, unknown>): Context;
  /** What `Error: ` is followed by for an error that is none of the shell's. */
  errorText(error: unknown): string;
}

/** Runs one command line; resolves with the exit code. `argv` is without program and script. */
export async function runProgram<Context>(
  program: Program<Context>,
  argv: readonly Word[],
  io: Io,
): Promise<number> {
  try {
    await new Execution(program, io).run(argv);
    return EXIT.SUCCESS;
  } catch (error) {
    return reportFailure(program, error, io);
  }
}

/** The tree of commands of a program, to be read: for its manual. */
export function treeOf<Context>(program: Program<Context>, io: Io): Command {
  return new Execution(program, io).root;
}

function reportFailure<Context>(program: Program<Context>, error: unknown, io: Io): number {
  if (error instanceof SilentExit) return error.code;
  if (error instanceof ExitError) {
    io.err(`Error: ${error.message}\n`);
    return error.code;
  }
  if (error instanceof UsageError) {
    const { command } = error;
    io.err(`Error: ${error.message}\n`);
    io.err(
      error.showUsage ? `${usageText(command)}\n` : `Run '${program.name} --help' for usage.\n`,
    );
    return EXIT.ERROR;
  }
  const text = error instanceof CommanderError ? error.message : program.errorText(error);
  io.err(`Error: ${text}\n`);
  return EXIT.ERROR;
}

class Execution<Context> implements CommandTree<Context> {
  readonly root: Command;
  readonly #program: Program<Context>;
  readonly #io: Io;
  #line: CommandLine | undefined = undefined;

  constructor(program: Program<Context>, io: Io) {
    this.#program = program;
    this.#io = io;
    this.root = new Command(program.name)
      .description(program.description)
      .usage('[command]')
      .helpOption(false)
      .helpCommand(false)
      .exitOverride();
    program.build(this.root, this);
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

  add<Options>(parent: Command, init: CommandInit<Options, Context>): Command {
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
      .action((_words: string[], _options: unknown, self: Command) => {
        const line = this.#line!;
        checkWords(self, line, init);
        checkRequired(self, line, init);
        const options: Record<string, unknown> = { ...self.optsWithGlobals() };
        const { words, wordsBeforeDash } = line;
        const context = this.#program.context(self, line, options);
        return run({
          io: this.#io,
          options: options as Options,
          words,
          wordsBeforeDash,
          ...context,
        });
      });
  }
}

type Demands = Pick<CommandInit<never, never>, 'wordCount' | 'allowedWords' | 'requiredFlags'>;

/** In cobra's words and order: number of words, words, flags. */
function checkWords(command: Command, { words }: CommandLine, init: Demands): void {
  const { wordCount, allowedWords } = init;
  if (wordCount !== undefined && words.length !== wordCount) {
    const text = `accepts ${wordCount} arg(s), received ${words.length}`;
    throw new UsageError(command, text, true);
  }
  const wrong = words.find((word) => allowedWords?.includes(word) === false);
  if (wrong === undefined) return;
  const quoted = JSON.stringify(textOfWord(wrong));
  throw new UsageError(command, `invalid argument ${quoted} for "${pathOf(command)}"`, true);
}

function checkRequired(command: Command, { given }: CommandLine, init: Demands): void {
  const missing = (init.requiredFlags ?? []).filter((name) => !given.has(name)).sort();
  if (missing.length === 0) return;
  const names = missing.map((name) => `"${name}"`).join(', ');
  throw new UsageError(command, `required flag(s) ${names} not set`, true);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
