// Help has the form of etcdctl's, and names the same flags.

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { describeWith, need, realEtcd } from '../../../test/helpers/real-etcd.ts';
import { runTetcdctl } from '../tetcdctl/program.ts';
import { MemoryIo } from './memory-io.fixture.ts';

async function helpOf(path: string): Promise<string> {
  const io = new MemoryIo();
  const words = path === '' ? [] : path.split(' ');
  expect(await runTetcdctl([...words, '--help'], io)).toBe(0);
  expect(io.errText).toBe('');
  return io.outText;
}

test('a command shows how it is used, its flags and those of its group', async () => {
  expect(await helpOf('endpoint hashkv')).toBe(
    `show the hash of the keys of each endpoint

Usage:
  tetcdctl endpoint hashkv [flags]

Flags:
  -h, --help      help for hashkv
      --rev int   up to this revision; 0 is the newest

Global Flags:
      --cluster   all endpoints that the member list names

"tetcdctl options" lists the flags that every command takes.
`,
  );
});

test('a group shows what is in it', async () => {
  expect(await helpOf('endpoint')).toBe(
    `ask each endpoint for its state

Usage:
  tetcdctl endpoint [command]

Available Commands:
  hashkv      show the hash of the keys of each endpoint
  health      try whether each endpoint can serve
  status      show the state of each endpoint

Flags:
      --cluster   all endpoints that the member list names
  -h, --help      help for endpoint

"tetcdctl endpoint [command] --help" says more about a command.
"tetcdctl options" lists the flags that every command takes.
`,
  );
});

const real = realEtcd('3.7');
describeWith('beside a real etcdctl', [real], () => {
  /** Titles with commands or flags below them: flags with the kind of their value. */
  function partsOf(help: string): Record<string, string[]> {
    const parts: Record<string, string[]> = {};
    let title = '';
    for (const line of help.split('\n')) {
      if (/^\S.*:$/.test(line)) title = line;
      const flag = /^ {2}(-\w, | {4})(--[\w-]+)( (?:string|int|duration|strings))? {3}/.exec(line);
      const command = /^ {2}([a-z][\w-]*) {1,}\S/.exec(line);
      const found = flag === null ? command?.[1] : `${flag[1]}${flag[2]}${flag[3] ?? ''}`;
      if (found === undefined || !/Flags|Commands/.test(title)) continue;
      parts[title] = [...(parts[title] ?? []), found];
    }
    return parts;
  }

  function theirHelp(path: string): string {
    const args = [...(path === '' ? [] : path.split(' ')), '--help'];
    const run = spawnSync(need(real).etcdctl, args, { encoding: 'utf8', timeout: 20_000 });
    expect(run.status).toBe(0);
    return run.stdout;
  }

  const GROUPS = ['endpoint', 'member', 'lease', 'alarm'];
  const SINGLE = ['get', 'put', 'del', 'txn', 'watch', 'compaction', 'move-leader', 'version'];

  test.each(SINGLE)('%s', async (path) => {
    expect(partsOf(await helpOf(path))).toEqual(partsOf(theirHelp(path)));
  });

  test.each(GROUPS)('%s and what is in it', async (group) => {
    const parts = partsOf(await helpOf(group));
    expect(parts).toEqual(partsOf(theirHelp(group)));
    const commands = parts['Available Commands:'];
    expect(commands?.length).toBeGreaterThan(1);
    for (const name of commands!) {
      const path = `${group} ${name}`;
      expect(partsOf(await helpOf(path)), path).toEqual(partsOf(theirHelp(path)));
    }
  });

  test('every command is here', async () => {
    const names = (help: string) =>
      [...help.matchAll(/^ {2}([a-z][\w-]*) +\S/gm)].map(([, name]) => name!);
    const theirs = names(theirHelp('')).filter((name) => name !== 'etcdctl');
    const ours = names(await helpOf('')).filter((name) => name !== 'tetcdctl');
    expect(ours.sort()).toEqual(theirs.sort());
  });
});
