// Real etcdctl gets the same answers about users from our server as from real etcd.

import { afterEach, expect, test } from 'vitest';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { normalise } from '../tour/tour.ts';
import { STEPS } from './commands.ts';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

async function outputsOf(program: Program, etcdctl: string): Promise<string[]> {
  const member = await Member.start(program, { flags: ['--bcrypt-cost=4'] });
  members.push(member);
  const outputs: string[] = [];
  for (const { user, args } of STEPS) {
    const who = user === undefined ? [] : [`--user=${user}`];
    const command = [etcdctl, `--endpoints=${member.endpoint}`, ...who, ...args.split(' ')];
    const input = args.startsWith('user passwd') ? 'new\nnew\n' : '';
    const { code, stdout, stderr } = await run([...command, '--command-timeout=5s'], { input });
    // How often a client asked before it gave up is its own affair.
    const lines = stderr.split('\n').filter((line) => !line.startsWith('{'));
    const text = `${stdout}${lines.join('\n')}exit code ${code}`;
    outputs.push(`${user ?? ''} ${args}\n${normalise(text, member.endpoint, new Map())}`);
  }
  return outputs;
}

const ours = serverUnderTest();
const real = realEtcd('3.7');

for (const release of ['3.7', '3.5'] as const) {
  const tools = realEtcd(release);
  describeWith(`etcdctl ${release}`, [ours, real, tools], () => {
    test('about users, roles and permissions', { timeout: 180_000 }, async () => {
      const { etcdctl } = need(tools);
      const theirs = await outputsOf(realProgram(need(real)), etcdctl);
      const mine = await outputsOf(need(ours), etcdctl);
      for (const [index, output] of theirs.entries()) expect.soft(mine[index]).toBe(output);
      expect(theirs.filter((output) => output.endsWith('exit code 0')).length).toBeGreaterThan(20);
    });
  });
}
