import { afterEach, expect, test } from 'vitest';
import { Member, realProgram, serverUnderTest } from './helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from './helpers/real-etcd.ts';
import { run } from './helpers/run.ts';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

for (const release of ['3.4', '3.5', '3.7'] as const satisfies readonly Release[]) {
  const real = realEtcd(release);
  const ours = serverUnderTest();
  const served = [
    { name: `real ${release}`, needs: [real], program: () => realProgram(need(real)) },
    { name: `our server, etcdctl ${release}`, needs: [real, ours], program: () => need(ours) },
  ];
  for (const { name, needs, program } of served) {
    describeWith(`a member process: ${name}`, needs, () => {
      test('serves, survives kill -9 and stops with exit code 0', async () => {
        const member = await Member.start(program());
        members.push(member);
        const ctl = [need(real).etcdctl, `--endpoints=${member.endpoint}`];
        expect((await run([...ctl, 'put', 'a', 'one'])).stdout).toBe('OK\n');
        await member.kill();
        await member.restart();
        expect((await run([...ctl, 'get', 'a'])).stdout).toBe('a\none\n');
        expect([0, -1]).toContain(await member.stop());
        await member.restart();
        expect((await run([...ctl, 'get', 'a'])).stdout).toBe('a\none\n');
      });
    });
  }
}

test('a server that ends at once is reported with its log', async () => {
  const program = {
    name: 'broken',
    release: '3.7',
    command: [process.execPath, '-e', 'console.error("no such flag"); process.exit(3)', '--'],
  } as const;
  await expect(Member.start(program)).rejects.toThrow(/broken ended with 3:\nno such flag/);
});
