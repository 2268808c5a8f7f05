// A manual as a page in Markdown.

import { isLiteral, type Manual, type ManualCommand, type ManualFlag } from './manual.ts';

export function markdownPage(manual: Manual): string {
  const lines = [
    `# ${manual.name}`,
    '',
    '<!-- Made by scripts/command-pages.mjs; the examples are in src/cli/man/examples.ts. -->',
    '',
    ...prose(manual.description),
    ...example(manual.example),
    ...manual.commands.flatMap(command),
  ];
  for (const { title, flags } of manual.flags) lines.push(`## ${title}`, '', ...flagTable(flags));
  for (const { title, text } of manual.sections) lines.push(`## ${title}`, '', ...prose(text));
  return `${lines.join('\n').trimEnd()}\n`;
}

function command(of: ManualCommand): string[] {
  const { path, usage, description, flags } = of;
  const lines = [`## ${path}`, ''];
  if (usage !== '') lines.push('```text', `${path} ${usage}`, '```', '');
  return [...lines, ...prose(description), ...flagTable(flags), ...example(of.example)];
}

function example(lines: string | undefined): string[] {
  return lines === undefined ? [] : ['```sh', lines, '```', ''];
}

function prose(paragraphs: readonly string[]): string[] {
  return paragraphs.flatMap((each) =>
    isLiteral(each) ? ['```text', each, '```', ''] : [escaped(each), ''],
  );
}

function flagTable(flags: readonly ManualFlag[]): string[] {
  if (flags.length === 0) return [];
  const cells = flags.map(({ term, help }) => [`\`${term}\``, escaped(help)] as const);
  const rows = [['flag', 'what it does'] as const, ...cells];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = ([a, b]: readonly [string, string]): string =>
    `| ${a.padEnd(widths[0]!)} | ${b.padEnd(widths[1]!)} |`;
  const [head, ...rest] = rows.map(line);
  return [head!, line(['-'.repeat(widths[0]!), '-'.repeat(widths[1]!)]), ...rest, ''];
}

/** Angle brackets are no HTML, a bar is no column. */
function escaped(text: string): string {
  return text.replace(/[<>|*_]/g, (one) => `\\${one}`);
}
