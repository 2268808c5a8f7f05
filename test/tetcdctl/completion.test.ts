// The scripts that complete command lines, in the shells that they are for.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith, need, REPOSITORY, systemProgram } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';

const FORMS = ['fields', 'json', 'protobuf', 'simple', 'table'];
const FILES = ['a.db', 'b.txt'];

/** Lines whose end is completed, and all that is offered. */
const ROWS: ReadonlyArray<readonly [line: string, offers: readonly string[]]> = [
  ['tetcdctl le', ['lease']],
  ['tetcdctl lease ', ['grant', 'keep-alive', 'list', 'revoke', 'timetolive']],
  ['tetcdctl lease gr', ['grant']],
  ['tetcdctl lease nothing', []],
  // The value of a flag is no command.
  ['tetcdctl --user lease g', ['get']],
  ['tetcdctl --user=lease ge', ['get']],
  ['tetcdctl --hex ge', ['get']],
  ['tetcdctl -w json lease g', ['grant']],
  ['tetcdctl get --cons', ['--consistency']],
  ['tetcdctl get --print', ['--print-value-only']],
  ['tetcdctl get --consistency ', ['l', 's']],
  ['tetcdctl get -w ', FORMS],
  ['tetcdctl get --write-out j', ['json']],
  ['tetcdctl get --write-out=j', ['json']],
  ['tetcdctl check perf --load=m', ['medium']],
  ['tetcdctl completion ', ['bash', 'fish', 'powershell', 'zsh']],
  ['tetcdctl snapshot save ', FILES],
  ['tetcdctl snapshot save a', ['a.db']],
  ['tetcdctl --cacert ', FILES],
  ['tetcdutl s', ['snapshot']],
  ['tetcdutl snapshot ', ['restore', 'status']],
  ['tetcdutl -w ', FORMS],
  ['tetcdutl dump ', ['db', 'log', 'snap']],
  ['tetcdutl snapshot restore --data-dir lease --skip', ['--skip-hash-check']],
  ['tetcdutl backup --wi', ['--with-v3']],
];

const place = mkdtempSync(join(tmpdir(), 'tetcd-completion-'));
const work = join(place, 'work');
afterAll(() => rmSync(place, { recursive: true }));

beforeAll(() => {
  mkdirSync(work);
  for (const name of FILES) writeFileSync(join(work, name), '');
});

async function scriptOf(program: string, shell: string): Promise<string> {
  const tool = join(REPOSITORY, 'dist', 'bin', `${program}.js`);
  const { code, stdout } = await run([process.execPath, tool, 'completion', shell]);
  expect(code).toBe(0);
  const path = join(place, `${program}.${shell}`);
  writeFileSync(path, stdout);
  return path;
}

for (const shell of ['bash', 'zsh', 'fish']) {
  const found = systemProgram(shell);
  describeWith(`in ${shell}`, [found], () => {
    test.each(['tetcdctl', 'tetcdutl'])('the script of %s is sound', async (program) => {
      const script = await scriptOf(program, shell);
      expect(await run([need(found), '-n', script])).toMatchObject({ code: 0, stderr: '' });
    });

    test.each(ROWS)('%s', async (line, offers) => {
      const program = line.split(' ')[0]!;
      const script = await scriptOf(program, shell);
      const helper = join(REPOSITORY, 'test', 'tetcdctl', 'completion', `offers.${shell}`);
      const command = [need(found), helper, script, program, line];
      const env = { HOME: place, PATH: process.env['PATH'] ?? '', TERM: 'xterm' };
      const result = await run(command, { cwd: work, env });
      const shown = result.stdout.split('\n').filter((each) => each !== '');
      // fish offers the whole word, with the flag.
      const values = shown.map((each) => each.replace(/^--[\w-]+=/, ''));
      expect([...new Set(values)].sort()).toEqual(offers);
    });
  });
}
