// `tetcdctl move-leader`: transfers leadership to another member.

import type { Command } from 'commander';
import type { CallOptions, Client } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { parseGoUint } from '../../shell/go-numbers.ts';
import { textOfWord } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import type { Session } from '../session.ts';

export function addMoveLeader(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'move-leader',
    usage: '[options] <member id>',
    summary: 'have the leader hand over to another member',
    description: `Has the leader hand over to another member. The endpoints given must include the leader's.`,
    group: GROUPS.CLUSTER,
    run: async ({ words, session: open }) => {
      const [word] = words;
      if (word === undefined || words.length !== 1) {
        throw new ExitError(EXIT.BAD_ARGS, 'move-leader command needs 1 argument');
      }
      const target = parseGoUint(textOfWord(word), 16);
      if (target.reason !== undefined) throw new ExitError(EXIT.BAD_ARGS, target.reason);
      const session = await open();
      // One timeout for all calls.
      const limits = session.limitsInAll();
      const { client, leader } = await findLeader(session, limits);
      const call = client.maintenance.moveLeader(target.value, limits());
      session.printer.moveLeader(leader, target.value, await session.ask(call));
    },
  });
}

/** The first endpoint that is the leader; an earlier one that does not answer ends the search. */
async function findLeader(
  session: Session,
  limits: () => CallOptions,
): Promise<{ readonly client: Client; readonly leader: bigint }> {
  const { endpoints } = session;
  for (const endpoint of endpoints) {
    const client = await session.clientOf([endpoint]);
    const call = client.maintenance.status(limits());
    const { header, leader } = await session.ask(call);
    if (header?.memberId === leader) return { client, leader };
    client.close();
  }
  const text = `no leader endpoint given at [${endpoints.join(' ')}]`;
  throw new ExitError(EXIT.BAD_ARGS, text);
}
