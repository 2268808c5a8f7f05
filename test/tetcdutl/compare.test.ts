// tetcdutl beside the real etcdutl 3.7.1: the same command lines on the same files.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { FACTS, FORMS } from './facts.ts';
import { HELP, ROWS, type Row, SCRIPTS } from './rows.ts';
import { makeFiles, normalForm, realTool, Side } from './workspace.ts';

const real = realEtcd('3.7');
const tool = realTool(real);

/** The command that a row calls, by its full name. */
function commandOf(args: readonly string[]): string {
  const words = args.filter((word) => !word.startsWith('-'));
  const names = Object.keys(FACTS);
  const found = [words.slice(0, 2).join(' '), words[0] ?? ''].find((name) => names.includes(name));
  return found ?? '';
}

/** Commands that tetcdutl does not have yet. */
const MISSING = ['migrate', 'snapshot restore'];

const LINES = [...ROWS.map(({ args }) => args), ...HELP, ...SCRIPTS];

test('every command, flag and form is in the table', () => {
  const missing: string[] = [];
  for (const [command, flags] of Object.entries(FACTS)) {
    if (MISSING.includes(command)) continue;
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

  test('the same command lines end and print the same', { timeout: 300_000 }, async () => {
    const differences: string[] = [];
    for (const row of ROWS) {
      for (const side of sides) side.reset(files);
      const results = await Promise.all(sides.map((side) => side.run(row.args)));
      const [own, theirs] = results.map(normalForm);
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
  });
});
