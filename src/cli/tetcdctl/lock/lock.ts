// `tetcdctl lock`: holds a lock until a signal, or while a program runs.

import type { Command } from 'commander';
import { EMPTY_BYTES } from '../../../base/index.ts';
import { etcdserverpb } from '../../../client/index.ts';
import { execFailure } from '../../shell/exec-failure.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { intFlag } from '../../shell/flags.ts';
import { clampedNumber } from '../../shell/go-numbers.ts';
import { logLine } from '../../shell/log-line.ts';
import { textOfWord, type Word, wordFromBytes } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import type { Session } from '../session.ts';
import { LeaseSession } from './lease-session.ts';
import { aborted } from './stop.ts';
import { Turn } from './turn.ts';

interface LockOptions {
  readonly ttl: bigint;
}

const DESCRIPTION = `Waits for its turn, then prints its key and holds the lock until it is
interrupted. With a program, runs that while it holds the lock and ends as it does; the program
finds ETCD_LOCK_KEY and ETCD_LOCK_REV in its environment. Flags of the program come after --.`;

export function addLock(parent: Command, tree: CommandTree): void {
  tree.add<LockOptions>(parent, {
    name: 'lock',
    usage: '<lockname> [program [word...]]',
    summary: 'hold a named lock',
    description: DESCRIPTION,
    group: GROUPS.CONCURRENCY,
    flags: [
      intFlag({
        flag: '--ttl',
        help: 'seconds until the lock of a dead holder is free',
        initial: 10n,
      }),
    ],
    run: async ({ io, words, options, session: open }) => {
      const [name, ...program] = words;
      if (name === undefined) {
        const text = 'lock takes a lock name argument and an optional command to execute';
        throw new ExitError(EXIT.BAD_ARGS, text);
      }
      const session = await open();
      if (options.ttl < 1n) {
        logLine(io, 'warn', 'WithTTL(): TTL should be > 0, preserving current TTL');
      }
      const ttl = clampedNumber(options.ttl);
      const held = await session.ask(LeaseSession.open(session.client, ttl));
      const stop = io.stopSignal();
      const turn = new Turn(held, name);
      try {
        const isHeld = await session.ask(turn.wait(EMPTY_BYTES, stop));
        if (!isHeld) throw new ExitError(EXIT.ERROR, 'mutex: session is expired');
        if (program.length > 0) await runProgram(session, turn, program);
        else await hold(session, held, turn, stop);
      } finally {
        await session.ask(held.close());
      }
    },
  });
}

async function runProgram({ io }: Session, turn: Turn, program: readonly Word[]): Promise<void> {
  const command = program.map(textOfWord);
  const failure = execFailure(
    command,
    await io.exec(command, {
      ETCD_LOCK_KEY: textOfWord(wordFromBytes(turn.key)),
      ETCD_LOCK_REV: String(turn.revision),
    }),
  );
  if (failure !== undefined) throw new ExitError(failure.code, failure.text);
}

async function hold(
  { client, printer, ask }: Session,
  held: LeaseSession,
  { key }: Turn,
  stop: AbortSignal,
): Promise<void> {
  const { range } = etcdserverpb.KVService.methods;
  const found = await ask(client.call(range, { key }, { signal: stop, repeatable: true }));
  if (found.kvs.length === 0) throw new ExitError(EXIT.ERROR, 'lock lost on init');
  printer.get(found, false);
  const ending = await Promise.race([aborted(stop), held.expired.then(() => 'expired' as const)]);
  if (ending === 'expired') throw new ExitError(EXIT.ERROR, 'session expired');
}
