// `tetcdutl completion`: a script for the shell.

import type { Command } from 'commander';
import { completionScript, SHELLS } from '../shell/completion.ts';
import type { CommandTree } from './command.ts';

export function addCompletion(root: Command, tree: CommandTree): void {
  const self = tree.add(root, {
    name: 'completion',
    usage: `[${SHELLS.join('|')}]`,
    summary: 'print the script by which a shell completes the command line',
    description: `Prints the script by which a shell completes the command line of tetcdutl.

  bash:        source <(tetcdutl completion bash)
               or, for all sessions: tetcdutl completion bash > /etc/bash_completion.d/tetcdutl
  zsh:         tetcdutl completion zsh > "\${fpath[1]}/_tetcdutl"
  fish:        tetcdutl completion fish > ~/.config/fish/completions/tetcdutl.fish
  PowerShell:  tetcdutl completion powershell | Out-String | Invoke-Expression`,
    wordCount: 1,
    allowedWords: SHELLS,
    run: ({ io, words }) => {
      const shell = SHELLS.find((each) => each === words[0])!;
      const wordsOf = (command: Command) => (command === self ? SHELLS : []);
      io.out(completionScript(shell, root, wordsOf));
    },
  });
}
