// A manual as a page for man(1), in the macros of man(7).

import { isLiteral, type Manual, type ManualCommand, type ManualFlag } from './manual.ts';

/** `version`: of the package. */
export function roffPage(manual: Manual, version: string): string {
  const lines = [
    `.TH ${manual.name.toUpperCase()} 1 "" "tetcd ${version}" "User Commands"`,
    '.SH NAME',
    `${text(manual.name)} \\- ${text(manual.summary)}`,
    '.SH SYNOPSIS',
    ...literal(manual.synopsis),
    '.SH DESCRIPTION',
    ...prose(manual.description),
    ...example(manual.example),
  ];
  if (manual.commands.length > 0) lines.push('.SH COMMANDS', ...manual.commands.flatMap(command));
  for (const { title, flags } of manual.flags) lines.push(heading('SH', title), ...flagList(flags));
  for (const { title, text: said } of manual.sections) {
    lines.push(heading('SH', title), ...prose(said));
  }
  const pages = manual.seeAlso.map((name, i) => {
    return `.BR ${text(name)} (1)${i + 1 < manual.seeAlso.length ? ',' : ''}`;
  });
  lines.push('.SH SEE ALSO', ...pages);
  return `${lines.join('\n')}\n`;
}

function command(of: ManualCommand): string[] {
  const { path, usage, description, flags } = of;
  const lines = [heading('SS', path), ...literal([`${path} ${usage}`.trimEnd()])];
  lines.push('.PP', ...prose(description));
  if (flags.length > 0) lines.push(...flagList(flags));
  return [...lines, ...example(of.example)];
}

function example(lines: string | undefined): string[] {
  if (lines === undefined) return [];
  return ['.PP', 'For example:', '.PP', '.RS 4', ...literal(lines.split('\n')), '.RE'];
}

function heading(macro: 'SH' | 'SS', title: string): string {
  return `.${macro} "${text(macro === 'SH' ? title.toUpperCase() : title)}"`;
}

function flagList(flags: readonly ManualFlag[]): string[] {
  return flags.flatMap(({ term, help }) => ['.TP', `.B ${text(term)}`, line(help)]);
}

function prose(paragraphs: readonly string[]): string[] {
  return paragraphs.flatMap((paragraph, i) => {
    const before = i === 0 ? [] : ['.PP'];
    const lines = paragraph.split('\n');
    return [...before, ...(isLiteral(paragraph) ? literal(lines) : lines.map(line))];
  });
}

function literal(lines: readonly string[]): string[] {
  return ['.nf', ...lines.map(line), '.fi'];
}

/** A line that begins with a control character would be a request. */
function line(words: string): string {
  return /^[.']/.test(words) ? `\\&${text(words)}` : text(words);
}

const SPECIAL: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '"': '\\(dq',
};

function text(words: string): string {
  return words.replace(/[\\\-'`^~"]|[^\0-\x7f]/gu, (one) => {
    const code = one.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
    return SPECIAL[one] ?? `\\[u${code}]`;
  });
}
