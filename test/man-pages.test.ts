// The pages about commands, for man(1) and in docs/commands, say what the help of the programs says.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXAMPLES } from '../src/cli/man/examples.ts';
import { commandPages, manPages, manualsOf } from '../src/cli/man/pages.ts';
import { MemoryIo } from '../src/cli/shell/memory-io.fixture.ts';
import { createNodeIo } from '../src/cli/shell/node-io.ts';
import { runTetcdctl } from '../src/cli/tetcdctl/program.ts';
import { runTetcdutl } from '../src/cli/tetcdutl/program.ts';
import { describeWith, need, REPOSITORY, systemProgram } from './helpers/real-etcd.ts';
import { run } from './helpers/run.ts';

const MANUALS = manualsOf(createNodeIo());
const PROGRAMS = MANUALS.map(({ name }) => name);

async function helpOf(program: string, words: readonly string[]): Promise<string> {
  const runHere = { tetcdctl: runTetcdctl, tetcdutl: runTetcdutl }[program];
  if (runHere !== undefined) {
    const io = new MemoryIo();
    expect(await runHere([...words, '--help'], io)).toBe(0);
    return io.outText;
  }
  const tool = join(REPOSITORY, 'dist', 'bin', `${program}.js`);
  return (await run([process.execPath, tool, ...words, '--help'])).stdout;
}

/** Names in a column of the help, with those of commands below them. */
async function commandsBelow(program: string, path: readonly string[]): Promise<string[]> {
  const [usage, ...parts] = (await helpOf(program, path)).split('Usage:\n')[1]!.split('\n\n');
  if (!usage!.endsWith('[command]')) return [path.join(' ')];
  const lists = parts.filter((part) => /^[A-Z].*:\n/.test(part) && !/^(Global )?Flags:/.test(part));
  const names = lists.flatMap((part) => [...part.matchAll(/^ {2}([a-z][a-z-]*) /gm)]);
  const below = await Promise.all(
    names.map(([, name]) => commandsBelow(program, [...path, name!])),
  );
  return below.flat();
}

/** Flags in the help, those of every command too. */
function flagsIn(help: string): string[] {
  return [...help.matchAll(/^ +(?:-\w, )?(--[a-z][\w-]*)/gm)].map((match) => match[1]!);
}

/** The lines of a man page as text, from one heading to the next. */
function sectionOf(page: string, heading: string): string {
  const plain = page.replaceAll('\\-', '-');
  const at = plain.indexOf(`\n${heading}\n`);
  expect(at, heading).toBeGreaterThan(0);
  const rest = plain.slice(at + heading.length + 2);
  return rest.split(/^\.S[SH] /m)[0]!;
}

function manPage(program: string): string {
  return readFileSync(join(REPOSITORY, 'dist', 'man', `${program}.1`), 'utf8');
}

describe('a man page', () => {
  test.each(['tetcdctl', 'tetcdutl'])(
    'of %s has every command and flag of its help',
    async (name) => {
      const commands = await commandsBelow(name, []);
      expect(commands.length).toBeGreaterThan(10);
      const page = manPage(name);
      const everywhere = sectionOf(page, '.SH "FLAGS OF EVERY COMMAND"');
      for (const command of commands) {
        const section = sectionOf(page, `.SS "${name} ${command}"`);
        const help = await helpOf(name, command.split(' '));
        const flags = flagsIn(help).filter((flag) => flag !== '--help');
        const missing = flags.filter((flag) => !`${section}${everywhere}`.includes(flag));
        expect(missing, command).toEqual([]);
      }
      const headings = page.replaceAll('\\-', '-').match(new RegExp(`^\\.SS "${name} `, 'gm'));
      expect(headings).toHaveLength(commands.length);
    },
  );

  test('of tetcd has every flag of its help, and those of its proxies', async () => {
    const page = manPage('tetcd').replaceAll('\\-', '-');
    const flags = flagsIn(await helpOf('tetcd', []));
    expect(flags.length).toBeGreaterThan(100);
    expect(
      flags.filter((flag) => !page.includes(`\n.B ${flag}\n`) && flag !== '--version'),
    ).toEqual([]);
    for (const command of ['gateway start', 'grpc-proxy start']) {
      const section = sectionOf(page, `.SS "tetcd ${command}"`);
      const own = flagsIn(await helpOf('tetcd', command.split(' ')));
      expect(own.filter((flag) => flag !== '--help' && !section.includes(flag))).toEqual([]);
    }
  });

  test('of each is in the package', () => {
    const { man, bin, version } = JSON.parse(
      readFileSync(join(REPOSITORY, 'package.json'), 'utf8'),
    );
    expect(man).toEqual(Object.keys(bin).map((name) => `./dist/man/${name}.1`));
    const names = readdirSync(join(REPOSITORY, 'dist', 'man'));
    expect(names).toEqual(PROGRAMS.map((name) => `${name}.1`));
    const pages = manPages(createNodeIo(), version);
    for (const name of PROGRAMS) expect(manPage(name)).toBe(pages.get(`${name}.1`));
  });
});

test.each(PROGRAMS)('docs/commands/%s.md is as made: else npm run commands', (name) => {
  const path = join(REPOSITORY, 'docs', 'commands', `${name}.md`);
  expect(readFileSync(path, 'utf8')).toBe(commandPages(createNodeIo()).get(`${name}.md`));
});

test.each(MANUALS)(
  'every command of $name has an example, of that command',
  ({ name, commands }) => {
    const examples = EXAMPLES[name as keyof typeof EXAMPLES];
    expect(commands.map(({ path }) => path.slice(name.length + 1)).sort()).toEqual(
      // The one of the program itself has no command.
      Object.keys(examples)
        .filter((command) => command !== '')
        .sort(),
    );
    for (const { path, example } of commands) expect(example).toContain(path.split(' ').at(-1));
  },
);

const mandoc = systemProgram('mandoc');
describeWith('mandoc', [mandoc], () => {
  test.each(PROGRAMS)('finds nothing wrong with the page of %s', async (name) => {
    const path = join(REPOSITORY, 'dist', 'man', `${name}.1`);
    const { stdout } = await run([need(mandoc), '-T', 'lint', '-W', 'warning', path]);
    // The page is that of a release, whose date the sources do not have.
    const found = stdout
      .split('\n')
      .filter((line) => line !== '' && !line.includes('missing date'));
    expect(found).toEqual([]);
    const shown = await run([need(mandoc), '-T', 'utf8', path]);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toContain('For example:');
  });
});

const groff = systemProgram('groff');
describeWith('groff', [groff], () => {
  test.each(PROGRAMS)('formats the page of %s without a warning', async (name) => {
    const path = join(REPOSITORY, 'dist', 'man', `${name}.1`);
    const result = await run([need(groff), '-man', '-ww', '-T', 'utf8', path]);
    expect(result).toMatchObject({ code: 0, stderr: '' });
  });
});
