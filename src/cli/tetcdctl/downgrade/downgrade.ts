// `tetcdctl downgrade`: whether the cluster may go down one minor version, the begin and the end of it.

import type { Command } from 'commander';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { textOfWord, type Word } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';

export function addDowngrade(parent: Command, tree: CommandTree): void {
  const downgrade = tree.add(parent, {
    name: 'downgrade',
    usage: '[command]',
    summary: 'have the cluster go down to the minor version before',
    group: GROUPS.CLUSTER,
  });
  tree.add(downgrade, {
    name: 'cancel',
    usage: '[options]',
    summary: 'give up a downgrade: the cluster version rises again',
    run: async ({ session }) => {
      const { client, printer, limits, ask } = await session();
      printer.downgrade('cancel', await ask(client.maintenance.downgrade('cancel', '', limits)));
    },
  });
  for (const [action, summary] of [
    ['enable', 'begin a downgrade: members of that version may take over afterwards'],
    ['validate', 'ask whether a downgrade to that version could begin'],
  ] as const) {
    tree.add(downgrade, {
      name: action,
      usage: '[options] <target version>',
      summary,
      run: async ({ words, session }) => {
        const target = targetIn(words);
        const { client, printer, limits, ask } = await session();
        printer.downgrade(action, await ask(client.maintenance.downgrade(action, target, limits)));
      },
    });
  }
}

function targetIn(words: readonly Word[]): string {
  const [word] = words;
  if (word === undefined) throw new ExitError(EXIT.BAD_ARGS, 'TARGET_VERSION not provided');
  if (words.length > 1) throw new ExitError(EXIT.BAD_ARGS, 'too many arguments');
  if (word === '') throw new ExitError(EXIT.BAD_ARGS, 'target version not provided');
  return textOfWord(word);
}
