// The commands of a program in cobra's style with their flags, read out of its help.

/** A flag: `string` and so on for the kind of its value; empty for a bool. */
export type Flags = ReadonlyMap<string, string>;

/** Own flags by command (`role add`); those of the program itself under the empty name. */
export type CommandTree = ReadonlyMap<string, Flags>;

/** Prints the help of `words`. */
export type AskHelp = (words: readonly string[]) => Promise<string>;

export async function readTree(ask: AskHelp): Promise<CommandTree> {
  const tree = new Map<string, Flags>();
  tree.set('', flagsIn((await ask(['options'])).split('\n')));
  const walk = async (path: readonly string[]): Promise<void> => {
    const sections = sectionsOf(await ask([...path, '--help']));
    if (path.length > 0) tree.set(path.join(' '), flagsIn(sections.get('Flags:') ?? []));
    for (const [title, lines] of sections) {
      if (/^(Usage|Examples|Flags|Global Flags):$/.test(title)) continue;
      for (const line of lines) {
        const name = /^ {2}([a-z][a-z0-9-]*) +\S/.exec(line)?.[1];
        if (name !== undefined) await walk([...path, name]);
      }
    }
  };
  await walk([]);
  return new Map([...tree].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Indented lines below each title, from the usage on: what is before it is prose. */
function sectionsOf(help: string): ReadonlyMap<string, string[]> {
  const lines = help.split('\n');
  const sections = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of lines.slice(lines.indexOf('Usage:'))) {
    if (/^\S/.test(line)) {
      current = [];
      sections.set(line, current);
    } else if (line.trim() !== '') current.push(line);
  }
  return sections;
}

function flagsIn(lines: readonly string[]): Flags {
  const flags = new Map<string, string>();
  for (const line of lines) {
    const found = /^ +(?:(-\w), )?(--[\w-]+)(?: (\w+))? {2,}\S/.exec(line);
    if (found === null || found[2] === '--help') continue;
    const [, short, long, kind = ''] = found;
    flags.set(long!, kind);
    if (short !== undefined) flags.set(short, kind);
  }
  return flags;
}

/** One command a line: its name, then its flags; in the order of their names. */
export function describeTree(tree: CommandTree): string {
  const lines = [...tree].map(([name, flags]) => {
    const shown = [...flags].sort(([a], [b]) => (a < b ? -1 : 1));
    return [`${name}:`, ...shown.map(([flag, kind]) => (kind ? `${flag}=${kind}` : flag))];
  });
  return `${lines.map((words) => words.join(' ')).join('\n')}\n`;
}

export function parseTree(text: string): CommandTree {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [name, rest = ''] = line.split(':', 2) as [string, string];
      const flags = rest.split(' ').filter((word) => word !== '');
      return [name, new Map(flags.map((word) => word.split('=', 2)).map(([f, k = '']) => [f!, k]))];
    }),
  );
}

/** The command that a line calls, and the flags that it gives; by the rules of pflag. */
export function readLine(
  tree: CommandTree,
  words: readonly string[],
): { readonly command: string; readonly flags: ReadonlyMap<string, string> } {
  let command = '';
  const given = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === '--') break;
    if (!word.startsWith('-')) {
      const next = command === '' ? word : `${command} ${word}`;
      if (tree.has(next)) command = next;
      continue;
    }
    const joined = /^(--[^=]+)=(.*)$/s.exec(word) ?? /^(-\w)=?(.+)$/s.exec(word);
    const flag = joined?.[1] ?? word;
    const takesValue = kindOf(tree, command, flag) !== '';
    given.set(flag, joined?.[2] ?? (takesValue ? (words[++at] ?? '') : 'true'));
  }
  return { command, flags: given };
}

function kindOf(tree: CommandTree, command: string, flag: string): string {
  for (let name = command; ; name = name.slice(0, Math.max(0, name.lastIndexOf(' ')))) {
    const kind = tree.get(name)?.get(flag);
    if (kind !== undefined) return kind;
    if (name === '') return '';
  }
}
