// Every command and flag of etcdctl 3.7 is there, and every command, flag and output form has a line
// that is compared with a real etcdctl. `commands-3.7.txt` is what the real program's help lists.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { describeWith, need, REPOSITORY, realEtcd } from '../helpers/real-etcd.ts';
import { AUTH_STEPS } from './auth-steps.ts';
import { CLUSTER_STEPS } from './cluster-steps.ts';
import { describeTree, parseTree, readLine, readTree } from './command-tree.ts';
import { STEPS } from './steps.ts';
import { ours } from './tools.ts';

const FACTS = readFileSync(join(REPOSITORY, 'test', 'tetcdctl', 'commands-3.7.txt'), 'utf8');
const TREE = parseTree(FACTS);

const FORMS = ['simple', 'table', 'json', 'fields', 'protobuf'];

/** Print nothing of a server, so that they have one form. */
const FORMLESS: ReadonlySet<string> = new Set(['completion', 'help', 'options', 'version']);

/** Flags that are compared elsewhere. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  '--discovery-srv': 'src/cli/tetcdctl/session.test.ts',
  '--discovery-srv-name': 'src/cli/tetcdctl/session.test.ts',
  '--insecure-discovery': 'src/cli/tetcdctl/session.test.ts',
  '-d': 'src/cli/tetcdctl/session.test.ts',
};

const LINES = [...STEPS, ...CLUSTER_STEPS, ...AUTH_STEPS].map((step) => ({
  ...readLine(TREE, step.args),
  variables: Object.keys('env' in step ? (step.env ?? {}) : {}),
}));

/** Commands that do something themselves, without the groups. */
const COMMANDS = [...TREE.keys()].filter(
  (name) => name !== '' && ![...TREE.keys()].some((other) => other.startsWith(`${name} `)),
);

const real = realEtcd('3.7');
describeWith('the help of etcdctl 3.7', [real], () => {
  test('lists the commands and flags in commands-3.7.txt', async () => {
    const { etcdctl } = need(real);
    const tree = await readTree(async (words) => {
      const { stdout } = await promisify(execFile)(etcdctl, [...words]);
      return stdout;
    });
    expect(describeTree(tree)).toBe(FACTS);
  });
});

describe('tetcdctl', () => {
  test('has the same commands and flags, of the same kinds', async () => {
    const tree = await readTree(async (words) => (await ours(words, {})).stdout);
    expect(describeTree(tree)).toBe(FACTS);
  });

  test.each(COMMANDS)('%s is compared, with each of its flags', (name) => {
    const lines = LINES.filter(({ command }) => command === name);
    expect(lines.length).toBeGreaterThan(0);
    const missing = [...TREE.get(name)!.keys()].filter(
      (flag) => !lines.some(({ flags }) => flags.has(flag)),
    );
    expect(missing).toEqual([]);
  });

  test.each(COMMANDS.filter((name) => !FORMLESS.has(name)))(
    '%s is compared in all forms',
    (name) => {
      const forms = LINES.filter(({ command }) => command === name).map(
        ({ flags }) => flags.get('-w') ?? flags.get('--write-out') ?? 'simple',
      );
      expect(FORMS.filter((form) => !forms.includes(form))).toEqual([]);
    },
  );

  test('every flag of all commands is compared, as a flag and as a variable', () => {
    const missing: string[] = [];
    for (const flag of TREE.get('')!.keys()) {
      if (flag in ELSEWHERE) continue;
      if (!LINES.some(({ flags }) => flags.has(flag))) missing.push(flag);
      if (!flag.startsWith('--')) continue;
      const variable = `ETCDCTL_${flag.slice(2).toUpperCase().replaceAll('-', '_')}`;
      if (!LINES.some(({ variables }) => variables.includes(variable))) missing.push(variable);
    }
    expect(missing).toEqual([]);
  });

  test('nothing is said to be compared elsewhere that is compared here', () => {
    const flags = Object.keys(ELSEWHERE);
    expect(flags.filter((flag) => LINES.some((line) => line.flags.has(flag)))).toEqual([]);
  });
});
