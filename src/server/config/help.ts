// The text of `--help`.

import { FLAG_GROUPS } from './flag-types.ts';
import { FLAGS } from './flags.ts';

export const USAGE = `Usage:

  tetcd [flags]
    Start a server.

  tetcd --version
    Print versions.

  tetcd -h | --help
    Print all flags.
`;

const LINE_WIDTH = 96;
const INDENT = '    ';

/** Every flag with its default and meaning, by group. */
export function helpText(): string {
  const parts = Object.entries(FLAG_GROUPS).map(([group, title]) => {
    const rows = Object.entries(FLAGS).filter(([, flag]) => flag.group === group);
    const lines = rows.map(([name, flag]) => {
      const head = `  --${name} '${flag.defaultText}'`;
      const fits = head.length <= LINE_WIDTH;
      const shown = fits ? head : `  --${name}\n${INDENT}'${flag.defaultText}'`;
      return `${shown}\n${wrap(flag.help)}`;
    });
    return `${title}:\n${lines.join('\n')}\n`;
  });
  const note =
    'Every flag but --version can be given in the environment: ETCD_ and its name in upper\n' +
    'case, with underscores for dashes (ETCD_DATA_DIR). A flag given both ways is refused.\n';
  return `${parts.join('\n')}\n${note}`;
}

function wrap(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > LINE_WIDTH - INDENT.length) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((text) => INDENT + text).join('\n');
}
