// `tetcdctl make-mirror`: copies keys to another cluster, and goes on with what changes.

import type { Command } from 'commander';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag, type Flag, intFlag, stringFlag, uintFlag } from '../../shell/flags.ts';
import { clampedNumber } from '../../shell/go-numbers.ts';
import { Progress } from '../../shell/progress.ts';
import { textOfWord, type Word, wordFromText } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import type { Session } from '../session.ts';
import { Mirror } from './mirror.ts';

interface MirrorOptions {
  readonly prefix: string;
  readonly rev: bigint;
  readonly maxTxnOps: bigint;
  readonly destPrefix: string;
  readonly noDestPrefix: boolean;
  readonly destCert: string;
  readonly destKey: string;
  readonly destCacert: string;
  readonly destInsecureTransport: boolean;
  readonly destUser: string;
  readonly destPassword: string;
}

const COUNT_INTERVAL_MS = 30_000;

const DESCRIPTION = `Copies the keys of the endpoints' cluster to <destination>, an endpoint of
another cluster, then every change, until it fails or is interrupted. Prints every 30 seconds how
many keys it has written or deleted. With --rev, only changes from that revision on are copied.`;

export function addMakeMirror(parent: Command, tree: CommandTree): void {
  tree.add<MirrorOptions>(parent, {
    name: 'make-mirror',
    usage: '[options] <destination>',
    summary: 'copy keys to another cluster, and all that changes',
    description: DESCRIPTION,
    group: GROUPS.UTILITY,
    flags: mirrorFlags(),
    run: async ({ io, words, options, sessionOfEndpoints: open }) => {
      const [word] = words;
      if (word === undefined || words.length !== 1) {
        throw new ExitError(EXIT.BAD_ARGS, 'make-mirror takes one destination argument');
      }
      const session = await open();
      const destination = await openDestination(session, word, options);
      await session.connect();
      const { noDestPrefix, destPrefix } = options;
      if (noDestPrefix && destPrefix !== '') {
        const text =
          '`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one';
        throw new ExitError(EXIT.BAD_ARGS, text);
      }
      const mirror = new Mirror(session.client, destination, {
        prefix: wordFromText(options.prefix),
        destinationPrefix: wordFromText(destPrefix),
        keepsPrefix: !noDestPrefix && destPrefix === '',
        operationsMax: clampedNumber(options.maxTxnOps),
      });
      const progress = new Progress(io, { label: 'Mirroring', show: String });
      mirror.onCount = (count) => {
        progress.done = count;
      };
      const stopCounting = io.every(COUNT_INTERVAL_MS, () => io.out(`${mirror.count}\n`));
      try {
        await session.ask(mirror.run(clampedNumber(options.rev)));
      } finally {
        stopCounting();
        progress.end();
      }
    },
  });
}

function openDestination(session: Session, word: Word, options: MirrorOptions) {
  return session.clientOfOther(textOfWord(word), {
    cert: options.destCert,
    key: options.destKey,
    cacert: options.destCacert,
    insecureTransport: options.destInsecureTransport,
    user: options.destUser,
    password: options.destPassword,
    passwordPrompt: 'Destination Password: ',
  });
}

function mirrorFlags(): Flag[] {
  return [
    stringFlag({ flag: '--prefix', help: 'only keys that begin with this' }),
    intFlag({ flag: '--rev', help: 'only changes from this revision on; 0 is all keys' }),
    uintFlag('uint', {
      flag: '--max-txn-ops',
      help: 'most operations in one transaction at the destination; 0 is any number',
      initial: 128n,
    }),
    stringFlag({ flag: '--dest-prefix', help: 'what stands there in place of --prefix' }),
    boolFlag({ flag: '--no-dest-prefix', help: 'nothing stands there in place of --prefix' }),
    stringFlag({ flag: '--dest-cert', help: "file with the client's certificate there" }),
    stringFlag({ flag: '--dest-key', help: 'file with the key of that certificate' }),
    stringFlag({ flag: '--dest-cacert', help: 'file with the certificates that vouch for it' }),
    boolFlag({
      flag: '--dest-insecure-transport',
      help: 'no TLS there unless certificates or an https endpoint are given',
      initial: true,
    }),
    stringFlag({ flag: '--dest-user', help: 'name of the user there, or name:password' }),
    stringFlag({ flag: '--dest-password', help: 'password of that user' }),
  ];
}
