// `tetcdctl member update`: changes the peer URLs of a member.

import type { Command } from 'commander';
import type { CommandTree } from '../command.ts';
import { memberIdOf } from './member-id.ts';
import { type PeerUrlsOptions, peerUrlsFlag, peerUrlsOf } from './peer-urls.ts';

export function addMemberUpdate(parent: Command, tree: CommandTree): void {
  tree.add<PeerUrlsOptions>(parent, {
    name: 'update',
    usage: '[options] <member id>',
    summary: 'change the peer URLs of a member',
    flags: [peerUrlsFlag()],
    run: async ({ words, options, session }) => {
      const id = memberIdOf(words);
      const urls = peerUrlsOf(options);
      const { client, printer, limits, ask } = await session();
      printer.memberUpdate(id, await ask(client.cluster.memberUpdate(id, urls, limits)));
    },
  });
}
