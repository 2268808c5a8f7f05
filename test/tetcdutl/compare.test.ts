// tetcdutl beside the real etcdutl 3.7.1: the same command lines on the same files.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { type RunResult, run } from '../helpers/run.ts';
import { FACTS, FORMS } from './facts.ts';
import { HELP, ROWS, type Row, SCRIPTS } from './rows.ts';
import { makeFiles, normalForm, OUR_TOOL, realTool, Side } from './workspace.ts';

const real = realEtcd('3.7');
const tool = realTool(real);

/** The command that a row calls, by its full name. */
function commandOf(args: readonly string[]): string {
  const words = args.filter((word) => !word.startsWith('-'));
  const names = Object.keys(FACTS);
  const found = [words.slice(0, 2).join(' '), words[0] ?? ''].find((name) => names.includes(name));
  return found ?? '';
}

const LINES = [...ROWS.map(({ args }) => args), ...HELP, ...SCRIPTS];

test('every command, flag and form is in the table', () => {
  const missing: string[] = [];
  for (const [command, flags] of Object.entries(FACTS)) {
    const lines = LINES.filter((args) => command === '' || commandOf(args) === command);
    if (lines.length === 0) missing.push(command);
    for (const flag of flags) {
      const short = flag === '--write-out' ? '-w' : flag;
      const names = lines.flat().map((word) => word.replace(/=.*/, ''));
      if (!names.includes(flag) && !names.includes(short)) missing.push(`${command} ${flag}`);
    }
  }
  for (const command of ['snapshot status', 'hashkv']) {
    for (const form of FORMS) {
      const isThere = LINES.some(
        (args) => commandOf(args) === command && args.join(' ').endsWith(`-w ${form}`),
      );
      if (!isThere) missing.push(`${command} -w ${form}`);
    }
  }
  expect(missing).toEqual([]);
});

describeWith('tetcdutl beside etcdutl 3.7', [real, tool, realEtcd('3.5')], () => {
  const files = mkdtempSync(join(tmpdir(), 'tetcd-utl-files-'));
  const sides: Side[] = [];

  beforeAll(async () => {
    await makeFiles(files);
    sides.push(Side.ours(files), Side.theirs(need(tool), files));
  }, 120_000);

  afterAll(() => {
    for (const side of sides) side.dispose();
    rmSync(files, { recursive: true, force: true });
  });

  /** The parts of a run in which both must be equal. */
  function compared(row: Row, result: ReturnType<typeof normalForm>, isReal: boolean): unknown {
    const code = isReal && row.theirCode === result['code'] ? 1 : result['code'];
    if (row.ownText === undefined) return { ...result, code };
    return {
      ...result,
      code,
      errors: isReal ? ['some'] : (result['errors'] as string[]).map(() => 'some'),
    };
  }

  /** What both have made of the directory has the same content and version. */
  async function expectEqualDatabases({ args }: Row): Promise<void> {
    const path = join(args[args.indexOf('--data-dir') + 1]!, 'member', 'snap', 'db');
    const status = [need(tool), 'snapshot', 'status', '-w', 'json'];
    const [own, theirs] = await Promise.all(sides.map((side) => run([...status, side.path(path)])));
    const contentOf = ({ stdout }: RunResult) => stdout.match(/"(?:hash|version)":[^,}]+/g);
    expect(contentOf(own!), args.join(' ')).toHaveLength(2);
    expect(contentOf(own!), args.join(' ')).toEqual(contentOf(theirs!));
  }

  test('the same command lines end and print the same', { timeout: 300_000 }, async () => {
    const differences: string[] = [];
    sides[0]!.reset(files);
    const before = sides[0]!.contents();
    for (const row of ROWS) {
      for (const side of sides) side.reset(files);
      const results = await Promise.all(sides.map((side) => side.run(row.args)));
      const [own, theirs] = results.map(normalForm);
      const after = sides[0]!.contents();
      if (own!['code'] !== 0) expect(after, `changed by ${row.args.join(' ')}`).toEqual(before);
      else if (row.args[0] === 'migrate') await expectEqualDatabases(row);
      if (isDeepStrictEqual(compared(row, own!, false), compared(row, theirs!, true))) continue;
      const shown = [own, theirs].map((result) => JSON.stringify(result));
      differences.push(`${row.args.join(' ')}\n  ours   ${shown[0]}\n  theirs ${shown[1]}`);
    }
    expect(differences.join('\n')).toBe('');
  });

  test('help and scripts are there where theirs are', async () => {
    for (const args of [...HELP, ...SCRIPTS]) {
      const [own, theirs] = await Promise.all(sides.map((side) => side.run(args)));
      expect(own!.code, args.join(' ')).toBe(theirs!.code);
      expect(own!.stdout === '', args.join(' ')).toBe(theirs!.stdout === '');
      expect(own!.stderr).toBe('');
    }
  });

  /** Commands and flags that the help of a program names, below a command. */
  async function walk(
    program: readonly string[],
    command: string,
  ): Promise<Record<string, string[]>> {
    const words = command === '' ? [] : command.split(' ');
    const { stdout } = await run([...program, ...words, '--help']);
    const own = stdout.split('Global Flags:')[0]!;
    const flags = [...own.matchAll(/^ +(?:-\w, )?(--[a-z][\w-]*)/gm)].map((match) => match[1]!);
    const below = /Available Commands:\n((?: {2}.*\n)*)/.exec(stdout)?.[1] ?? '';
    const names = [...below.matchAll(/^ {2}(\w+) /gm)].map((match) => match[1]!);
    const found = { [command]: flags.filter((flag) => flag !== '--help').sort() };
    for (const name of names)
      Object.assign(found, await walk(program, `${command} ${name}`.trim()));
    return found;
  }

  test('the facts are those of the real program, and ours has them all', async () => {
    expect(await walk([need(tool)], '')).toEqual(FACTS);
    const own = await walk([process.execPath, OUR_TOOL], '');
    for (const [command, flags] of Object.entries(FACTS)) {
      expect(own[command], command).toEqual(flags);
    }
  });
});
