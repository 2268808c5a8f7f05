// `tetcdctl member add`: adds a member to the cluster, and prints the settings to start it with.

import type { Command } from 'commander';
import { goQuote } from '../../../base/index.ts';
import type { etcdserverpb } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag } from '../../shell/flags.ts';
import { bytesOfWord, textOfWord, type Word } from '../../shell/words.ts';
import type { CommandTree } from '../command.ts';
import { type PeerUrlsOptions, peerUrlsFlag, peerUrlsOf } from './peer-urls.ts';

interface MemberAddOptions extends PeerUrlsOptions {
  readonly learner: boolean;
}

export function addMemberAdd(parent: Command, tree: CommandTree): void {
  tree.add<MemberAddOptions>(parent, {
    name: 'add',
    usage: '[options] <name>',
    summary: 'take a member into the cluster',
    description: `Takes a member into the cluster, which then waits for it to be started. In
the simple form the variables with which to start it are printed too.`,
    flags: [
      boolFlag({ flag: '--learner', help: 'it gets the data but has no vote until promoted' }),
      peerUrlsFlag(),
    ],
    run: async ({ io, words, options, session: open }) => {
      const name = nameOf(words);
      const urls = peerUrlsOf(options);
      const session = await open();
      const { client, printer, limits } = session;
      const { learner } = options;
      const response = await session.ask(client.cluster.memberAdd(urls, { ...limits, learner }));
      printer.memberAdd(response);
      if (session.options.writeOut === 'simple') {
        io.out(howToStart(name, options.peerUrls, response));
      }
    },
  });
}

function nameOf(words: readonly Word[]): Word {
  const [name] = words;
  if (name === undefined) throw new ExitError(EXIT.BAD_ARGS, 'member name not provided');
  if (words.length === 1) return name;
  const hints = words
    .map(textOfWord)
    .filter((word) => word.toLowerCase().startsWith('http'))
    .map((word) => `, did you mean --peer-urls=${word}`);
  throw new ExitError(EXIT.BAD_ARGS, `too many arguments${hints.join('')}`);
}

/** Variables that etcd reads, in the order in which scripts expect them. */
function howToStart(
  name: Word,
  peerUrls: string,
  { member, members }: etcdserverpb.MemberAddResponse,
): string {
  const cluster = members.flatMap((each) =>
    each.peerURLs.map((url) => `${each.id === member?.id ? textOfWord(name) : each.name}=${url}`),
  );
  return `
ETCD_NAME=${goQuote(bytesOfWord(name))}
ETCD_INITIAL_CLUSTER=${goQuote(cluster.join(','))}
ETCD_INITIAL_ADVERTISE_PEER_URLS=${goQuote(peerUrls)}
ETCD_INITIAL_CLUSTER_STATE="existing"
`;
}
