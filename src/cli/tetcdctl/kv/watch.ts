// `tetcdctl watch`: prints events, or runs a program for each.

import { Command } from 'commander';
import { goQuote } from '../../../base/index.ts';
import type {
  WatchOptions as ClientWatchOptions,
  Watcher,
  WatchResponse,
} from '../../../client/index.ts';
import { argify } from '../../shell/argify.ts';
import { ownOptions, readCommandLine, UsageError } from '../../shell/command-line.ts';
import { errorText } from '../../shell/error-text.ts';
import { execFailure } from '../../shell/exec-failure.ts';
import { EXIT, ExitError, SilentExit } from '../../shell/exit.ts';
import { boolFlag, type Flag, intFlag } from '../../shell/flags.ts';
import { clampedNumber } from '../../shell/go-numbers.ts';
import type { Io } from '../../shell/io.ts';
import { bytesOfWord, textOfWord, type Word, wordFromBytes } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import type { Session } from '../session.ts';
import { type WatchArguments, watchOfArguments } from './watch-arguments.ts';

interface WatchOptions {
  readonly interactive: boolean;
  readonly prefix: boolean;
  readonly rev: bigint;
  readonly prevKv: boolean;
  readonly progressNotify: boolean;
}

const DESCRIPTION = `Prints the events of a key, or of the keys from <key> to <range_end>, until
it is interrupted. Key and range end may also be given as ETCDCTL_WATCH_KEY and
ETCDCTL_WATCH_RANGE_END. With words after --, that program is run for each event, and finds in
its environment ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE.

With -i, lines of standard input are commands: "watch" with its words and flags, any number of
times, and "progress".`;

function watchFlags(): Flag[] {
  return [
    boolFlag({ flag: '-i, --interactive', help: 'read commands from standard input' }),
    boolFlag({ flag: '--prefix', help: 'all keys that begin with <key>' }),
    boolFlag({ flag: '--prev-kv', help: 'print with each event what was there before' }),
    boolFlag({
      flag: '--progress-notify',
      help: 'print how far the watch is when nothing happens',
    }),
    intFlag({ flag: '--rev', help: 'events from this revision on; 0 is from now on' }),
  ];
}

export function addWatch(parent: Command, tree: CommandTree): void {
  tree.add<WatchOptions>(parent, {
    name: 'watch',
    usage: '[options] <key> [range_end] [-- program [word...]]',
    summary: 'print events as they happen',
    description: DESCRIPTION,
    group: GROUPS.KV,
    flags: watchFlags(),
    run: async ({ io, words, wordsBeforeDash, options, session: open }) => {
      if (options.interactive) {
        await readCommands(await open(), io);
        return;
      }
      const watched = watchOfArguments(words, wordsBeforeDash, io.env);
      const session = await open();
      const watcher = startWatch(session, watched, options);
      await printWatch(session, watcher, watched.exec);
      throw new ExitError(EXIT.INTERRUPTED, 'watch is canceled by the server');
    },
  });
}

function startWatch(session: Session, watched: WatchArguments, options: WatchOptions): Watcher {
  const { prefix, rev, prevKv, progressNotify } = options;
  if (prefix && watched.rangeEnd !== undefined) {
    throw new ExitError(EXIT.BAD_ARGS, '`range_end` and `--prefix` are mutually exclusive');
  }
  const watchOptions: ClientWatchOptions = {
    startRevision: clampedNumber(rev),
    prevKv,
    progressNotify,
    ...(watched.rangeEnd === undefined ? { prefix } : { rangeEnd: bytesOfWord(watched.rangeEnd) }),
  };
  return session.client.watch(bytesOfWord(watched.key), watchOptions);
}

/** Prints until the watch ends; a cancellation by the server is printed and is not an error here. */
async function printWatch(
  session: Session,
  watcher: Watcher,
  exec: readonly Word[],
): Promise<void> {
  const { io, printer } = session;
  try {
    for await (const response of watcher.responses()) {
      if (response.isProgress) io.out(`progress notify: ${response.header.revision}\n`);
      printer.watch({ response });
      if (exec.length > 0) await runForEach(io, exec, response);
    }
  } catch (error) {
    if (error instanceof ExitError || error instanceof SilentExit) throw error;
    const { cancellation } = watcher;
    if (cancellation === undefined) throw new ExitError(EXIT.BAD_CONNECTION, errorText(error));
    // A reason is printed as the server sent it.
    const { cancelReason, compactRevision } = cancellation;
    const text = compactRevision === 0 && cancelReason !== '' ? cancelReason : errorText(error);
    io.err(`watch was canceled (${text})\n`);
    printer.watch({ cancellation });
  }
}

async function runForEach(
  io: Io,
  exec: readonly Word[],
  { header, events }: WatchResponse,
): Promise<void> {
  const command = exec.map(textOfWord);
  for (const event of events) {
    const result = await io.exec(command, {
      ETCD_WATCH_REVISION: String(header.revision),
      ETCD_WATCH_EVENT_TYPE: goQuote(event.type.toUpperCase()),
      ETCD_WATCH_KEY: goQuote(event.kv.key),
      ETCD_WATCH_VALUE: goQuote(event.kv.value),
    });
    const failure = execFailure(command, result);
    if (failure === undefined) continue;
    io.err(`command [${command.map((word) => goQuote(word)).join(' ')}] error (${failure.text})\n`);
    throw new SilentExit(EXIT.ERROR);
  }
}

/** Interactive mode: lines of `watch …` and `progress`. */
async function readCommands(session: Session, io: Io): Promise<never> {
  const running = new Set<Promise<void>>();
  let failure: unknown;
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_resolve, reject) => {
    fail = (error) => {
      failure ??= error;
      reject(error);
    };
  });
  failed.catch(() => {});
  for (;;) {
    const bytes = await Promise.race([io.readLine(), failed]);
    if (failure !== undefined) throw failure;
    if (bytes === undefined) {
      throw new ExitError(EXIT.INVALID_INPUT, 'error reading watch request line: EOF');
    }
    const line = wordFromBytes(bytes);
    const [name, ...words] = argify(line);
    if (name === undefined) {
      io.err(`Invalid command: ${textOfWord(line)} (watch and progress supported)\n`);
    } else if (name === 'progress') {
      session.client.requestWatchProgress();
    } else if (name !== 'watch') {
      io.err(`Invalid command ${textOfWord(line)} (only support watch)\n`);
    } else if (words.length === 0 && !io.env['ETCDCTL_WATCH_KEY']) {
      io.err(`Invalid command ${textOfWord(line)} (command type or key is not provided)\n`);
    } else {
      const { watched, options } = readWatchLine(words, io);
      const watch = printWatch(session, startWatch(session, watched, options), watched.exec);
      running.add(watch.catch(fail));
    }
  }
}

function readWatchLine(
  words: readonly Word[],
  io: Io,
): { readonly watched: WatchArguments; readonly options: WatchOptions } {
  const command = new Command('watch');
  for (const flag of watchFlags()) command.addOption(flag);
  try {
    const read = readCommandLine(command, words);
    return {
      watched: watchOfArguments(read.words, read.wordsBeforeDash, io.env),
      options: ownOptions<WatchOptions>(read),
    };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new ExitError(EXIT.BAD_ARGS, error.message);
  }
}
