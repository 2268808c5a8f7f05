// The command `tetcdctl`: its tree of commands, and what they share.

import type { Command } from 'commander';
import { type CommandLine, flagsOf } from '../shell/command-line.ts';
import { addCompletion } from '../shell/completion-command.ts';
import { flagsFromEnvironment, variableOf } from '../shell/environment.ts';
import { errorText } from '../shell/error-text.ts';
import type { Flag, FlagValue } from '../shell/flags.ts';
import { addHelp } from '../shell/help-command.ts';
import type { Io } from '../shell/io.ts';
import { type Program, runProgram, treeOf } from '../shell/run-program.ts';
import type { Word } from '../shell/words.ts';
import { addAlarm } from './alarm/alarm.ts';
import { addAuth } from './auth/auth.ts';
import { addRole } from './auth/role.ts';
import { addUser } from './auth/user.ts';
import { addCheck } from './check/check.ts';
import { type CommandTree, GROUPS, type Sessions } from './command.ts';
import { addDowngrade } from './downgrade/downgrade.ts';
import { addDefrag } from './endpoint/defrag.ts';
import { addEndpoint } from './endpoint/endpoint.ts';
import { type GlobalOptions, globalFlags } from './global-flags.ts';
import { addCompaction } from './kv/compaction.ts';
import { addDel } from './kv/del.ts';
import { addGet } from './kv/get.ts';
import { addPut } from './kv/put.ts';
import { addTxn } from './kv/txn.ts';
import { addWatch } from './kv/watch.ts';
import { addLease } from './lease/lease.ts';
import { addElect } from './lock/elect.ts';
import { addLock } from './lock/lock.ts';
import { addMember } from './member/member.ts';
import { addMoveLeader } from './member/move-leader.ts';
import { addMakeMirror } from './mirror/make-mirror.ts';
import { addOptions } from './options.ts';
import type { Session } from './session.ts';
import { addSnapshot } from './snapshot/snapshot.ts';
import { addVersion } from './version.ts';

/** Runs one command line; resolves with the exit code. `argv` is without program and script. */
export async function runTetcdctl(argv: readonly Word[], io: Io): Promise<number> {
  const program = new Tetcdctl(io);
  try {
    return await runProgram(program, argv, io);
  } finally {
    program.session?.close();
  }
}

/** The tree of commands, to be read. */
export function tetcdctlTree(io: Io): Command {
  return treeOf(new Tetcdctl(io), io);
}

class Tetcdctl implements Program<Sessions> {
  readonly name = 'tetcdctl';
  readonly description = 'Talks to an etcd cluster from the command line.';
  readonly errorText: (error: unknown) => string = errorText;
  session: Session | undefined = undefined;
  readonly #io: Io;

  constructor(io: Io) {
    this.#io = io;
  }

  context(command: Command, line: CommandLine, options: Record<string, unknown>): Sessions {
    return {
      session: async () => {
        const session = await this.#open(command, line, options);
        await session.connect();
        return session;
      },
      sessionOfEndpoints: () => this.#open(command, line, options),
    };
  }

  /** Adds the flags that the environment sets to `options`. */
  async #open(
    command: Command,
    { given }: CommandLine,
    options: Record<string, unknown>,
  ): Promise<Session> {
    if (this.session !== undefined) return this.session;
    const names = new Set(given.keys());
    for (const [flag, value] of flagsFromEnvironment(command, given, this.#io)) {
      options[flag.attributeName()] = value;
      names.add(flag.long!.slice(2));
    }
    const globals = options as unknown as GlobalOptions;
    if (globals.debug) this.#showSettings(command, options);
    // Loaded only by commands that connect to a server.
    const { Session } = await import('./session.ts');
    this.session = await Session.open(this.#io, globals, names);
    return this.session;
  }

  #showSettings(command: Command, options: Readonly<Record<string, unknown>>): void {
    let root = command;
    while (root.parent !== null) root = root.parent;
    const byName = flagsOf(root).sort((a, b) => (a.long! < b.long! ? -1 : 1));
    for (const flag of byName) {
      const text = flag.show(options[flag.attributeName()] as FlagValue);
      this.#io.err(`${variableOf(flag)}=${withoutSecret(flag, text)}\n`);
    }
  }

  build(root: Command, tree: CommandTree): void {
    for (const flag of globalFlags()) root.addOption(flag);
    for (const add of [addGet, addPut, addDel, addTxn, addWatch, addLease, addCompaction]) {
      add(root, tree);
    }
    for (const add of [
      addEndpoint,
      addMember,
      addMoveLeader,
      addAlarm,
      addDefrag,
      addDowngrade,
      addSnapshot,
    ])
      add(root, tree);
    for (const add of [addElect, addLock]) add(root, tree);
    for (const add of [addAuth, addUser, addRole]) add(root, tree);
    for (const add of [addCheck, addMakeMirror, addOptions, addVersion]) add(root, tree);
    addHelp(root, tree, GROUPS.UTILITY);
    addCompletion(root, tree, GROUPS.UTILITY);
  }
}

function withoutSecret({ long }: Flag, text: string): string {
  if (long === '--user') return text.replace(/:.*/s, ':***');
  const isSecret = long === '--password' || long === '--auth-jwt-token';
  return isSecret && text !== '' ? '***' : text;
}
