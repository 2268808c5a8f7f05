// docs/operate/configure.md: every command in it is run, in their order; the other pages are run by
// `operate.test.ts`. The ports are others, and each block that starts a member runs beside the next ones.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { READY, serverUnderTest, temporaryDirectory } from './helpers/member.ts';
import { describeWith, REPOSITORY } from './helpers/real-etcd.ts';
import { run } from './helpers/run.ts';
import { freePort, ServerProcess } from './helpers/server-process.ts';

const TIMEOUT_MS = 60_000;
const BIN = join(REPOSITORY, 'dist', 'bin');

const servers: ServerProcess[] = [];
let directory = '';
afterEach(async () => {
  for (const server of servers.splice(0)) await server.end('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** A block as it stands, in the directory, with ports that are free. */
type Script = (block: string) => readonly string[];

async function scripts(): Promise<Script> {
  const ports = new Map<string, number>();
  for (const port of ['2379', '2380', '2479', '2480']) ports.set(port, await freePort());
  return (block) => [
    'bash',
    '-c',
    [
      `set -euo pipefail; cd '${directory}'`,
      `tetcd() { '${process.execPath}' '${join(BIN, 'tetcd.js')}' "$@"; }`,
      `serve() { exec '${process.execPath}' '${join(BIN, 'tetcd.js')}' "$@"; }`,
      `etcdctl() { '${process.execPath}' '${join(BIN, 'tetcdctl.js')}' "$@"; }`,
      `export ETCDCTL_ENDPOINTS=127.0.0.1:${ports.get('2379')}`,
      block.replace(/(?<=127\.0\.0\.1:)\d{4}/g, (port) => String(ports.get(port) ?? port)),
    ].join('\n'),
  ];
}

async function output(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, { timeoutMs: TIMEOUT_MS });
  expect([code, stderr.replace(/^Usage:[\s\S]*/, '')], command.at(-1)).toEqual([0, '']);
  return stdout;
}

/** The member of a block, when it serves. */
async function served(script: Script, block: string): Promise<ServerProcess> {
  const server = new ServerProcess('tetcd', script(block.replace(/^tetcd\b/m, 'serve')));
  servers.push(server);
  await server.line(READY, TIMEOUT_MS);
  return server;
}

describeWith('commands of', [serverUnderTest()], () => {
  test('configure.md', { timeout: TIMEOUT_MS }, async () => {
    directory = temporaryDirectory();
    const page = readFileSync(join(REPOSITORY, 'docs', 'operate', 'configure.md'), 'utf8');
    const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
    const [help, file, fromFile, health, fromEnvironment, size, discover, registered, ...more] =
      blocks;
    expect(more).toEqual([]);
    const script = await scripts();

    expect(await output(script(help!))).toMatch(/--discovery-srv[\s\S]*etcd Version: 3\.7/);
    await output(script(file!));
    const first = await served(script, fromFile!);
    expect(first.log()).toContain('loaded server configuration, other configuration command line');
    expect(await output(script(health!))).toContain('is healthy');
    await first.end('SIGTERM');

    const second = await served(script, fromEnvironment!);
    expect(second.log()).toContain('recognized and used environment variable');
    expect(await output(script(size!))).toBe('OK\n');
    const found = await served(script, discover!);
    expect(found.log()).toContain('discovery joined cluster successfully');
    expect(await output(script(registered!))).toMatch(/blue-1\/members\/[0-9a-f]+\nblue1=http:/);
  });
});
