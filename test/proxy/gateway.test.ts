// `tetcd gateway` as a process: before real etcd, and with real etcd's flags, help and refusals.

import { afterEach, expect, test } from 'vitest';
import { Member, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { freePort } from '../helpers/server-process.ts';
import { Proxies, START_TIMEOUT_MS } from './proxies.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');

const members: Member[] = [];
const gateways = new Proxies();
afterEach(async () => {
  await gateways.dispose();
  for (const member of members.splice(0)) await member.dispose();
});

describeWith('tetcd gateway', [ours, real], () => {
  test('real etcdctl through it, past an endpoint that is not there', async () => {
    const member = await Member.start(realProgram(need(real)));
    members.push(member);
    const dead = `http://127.0.0.1:${await freePort()}`;
    const endpoints = [dead, `http://${member.endpoint}`];
    const flags = ['--retry-delay=1h'];
    const { endpoint, process } = await gateways.start('gateway', endpoints, flags);
    const etcdctl = [need(real).etcdctl, `--endpoints=${endpoint}`];
    for (let i = 0; i < 3; i++) {
      expect(await run([...etcdctl, 'put', 'k', `v${i}`])).toMatchObject({ stdout: 'OK\n' });
    }
    expect((await run([...etcdctl, 'get', 'k'])).stdout).toBe('k\nv2\n');
    expect(process.log()).toMatch(/"deactivated endpoint".*"interval":"1h0m0s"/);
    process.signal('SIGTERM');
    expect(await process.ended(START_TIMEOUT_MS)).toBe('SIGTERM');
  });

  test('CVE-2020-15114: refuses itself, and what else real etcd refuses', async () => {
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
});
