// `tetcd gateway` as a process: before real etcd, and beside real etcd's own gateway.

import { afterEach, expect, test } from 'vitest';
import { Member, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { freePort, ServerProcess } from '../helpers/server-process.ts';

const START_TIMEOUT_MS = 30_000;
const ours = serverUnderTest();
const real = realEtcd('3.7');

const members: Member[] = [];
const gateways: ServerProcess[] = [];
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.end('SIGKILL');
  for (const member of members.splice(0)) await member.dispose();
});

async function startGateway(flags: readonly string[]): Promise<{
  readonly endpoint: string;
  readonly process: ServerProcess;
}> {
  const endpoint = `127.0.0.1:${await freePort()}`;
  const command = [...need(ours).command, 'gateway', 'start', `--listen-addr=${endpoint}`];
  const process = new ServerProcess('gateway', [...command, ...flags]);
  gateways.push(process);
  await process.line(/ready to proxy client requests/, START_TIMEOUT_MS);
  return { endpoint, process };
}

describeWith('tetcd gateway', [ours, real], () => {
  test('real etcdctl through it, past an endpoint that is not there', async () => {
    const member = await Member.start(realProgram(need(real)));
    members.push(member);
    const dead = `http://127.0.0.1:${await freePort()}`;
    const endpoints = `${dead},http://${member.endpoint}`;
    const { endpoint, process } = await startGateway([
      `--endpoints=${endpoints}`,
      '--retry-delay=1h',
    ]);
    const etcdctl = [need(real).etcdctl, `--endpoints=${endpoint}`];
    for (let i = 0; i < 3; i++) {
      expect(await run([...etcdctl, 'put', 'k', `v${i}`])).toMatchObject({ stdout: 'OK\n' });
    }
    expect((await run([...etcdctl, 'get', 'k'])).stdout).toBe('k\nv2\n');
    expect(process.log()).toMatch(/"deactivated endpoint".*"interval":"1h0m0s"/);
    process.signal('SIGTERM');
    expect(await process.ended(START_TIMEOUT_MS)).toBe('SIGTERM');
  });

  test('refuses what real etcd refuses, in its words', async () => {
    const port = await freePort();
    const lines = [
      ['--listen-addr', 'foo'],
      ['--listen-addr', 'host.invalid:1'],
      ['--endpoints', 'foo'],
      ['--endpoints', 'host.invalid:2379', '--listen-addr', `127.0.0.1:${port}`],
      ['--endpoints', `http://localhost:${port}`, '--listen-addr', `127.0.0.1:${port}`],
      ['--endpoints', ''],
    ];
    for (const line of lines) {
      const results = [];
      for (const command of [need(ours).command, [need(real).etcd]]) {
        const { code, stdout } = await run([...command, 'gateway', 'start', ...line]);
        results.push({ code, stdout: stdout.trimEnd() });
      }
      expect(results[0], line.join(' ')).toEqual(results[1]);
    }
  });

  test('has the flags of real etcd, with their defaults, and its refusals of others', async () => {
    const ask = async (command: readonly string[], ...line: readonly string[]) => {
      const { code, stdout, stderr } = await run([...command, 'gateway', ...line]);
      const flags = [...stdout.matchAll(/--([a-z-]+)( [a-z0-9]+)? {2}.*?(\(default .*\))?$/gm)];
      const [first] = stderr.split('\n');
      const last = stderr.split('\n').at(-1);
      return { code, first, last, flags: flags.map(([, ...parts]) => parts.join('')) };
    };
    for (const line of [
      ['start', '--help'],
      ['start', '--x'],
      ['start', '--retry-delay', '1'],
      [],
    ]) {
      const found = await ask(need(ours).command, ...line);
      expect(found, line.join(' ')).toEqual(await ask([need(real).etcd], ...line));
      if (line[1] === '--help') expect(found.flags).toHaveLength(8);
    }
  });
});
