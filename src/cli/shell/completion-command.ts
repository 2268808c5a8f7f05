// `completion`: a script for the shell.

import type { Command } from 'commander';
import type { CommandTree } from './command.ts';
import { completionScript, SHELLS } from './completion.ts';

/** `group`: where the help of the program lists it. */
export function addCompletion<Context>(
  root: Command,
  tree: CommandTree<Context>,
  group?: string,
): void {
  const program = root.name();
  const self = tree.add(root, {
    name: 'completion',
    usage: `[${SHELLS.join('|')}]`,
    summary: 'print the script by which a shell completes the command line',
    description: `Prints the script by which a shell completes the command line of ${program}.

  bash:        source <(${program} completion bash)
               or, for all sessions: ${program} completion bash > /etc/bash_completion.d/${program}
  zsh:         ${program} completion zsh > "\${fpath[1]}/_${program}"
  fish:        ${program} completion fish > ~/.config/fish/completions/${program}.fish
  PowerShell:  ${program} completion powershell | Out-String | Invoke-Expression`,
    ...(group === undefined ? {} : { group }),
    wordCount: 1,
    allowedWords: SHELLS,
    run: ({ io, words }) => {
      const shell = SHELLS.find((each) => each === words[0])!;
      const wordsOf = (command: Command) => (command === self ? SHELLS : []);
      io.out(completionScript(shell, root, wordsOf));
    },
  });
}
