// Maintenance.Snapshot as etcdctl uses it: real etcdctl saves a snapshot of our member while it is
// written, checks its hash, restores a directory from it, and real etcd serves that.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Member, realProgram, serverUnderTest, temporaryDirectory } from './helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from './helpers/real-etcd.ts';
import { run } from './helpers/run.ts';

const members: Member[] = [];
const directories: string[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const ours = serverUnderTest();

for (const release of ['3.4', '3.5'] as const satisfies readonly Release[]) {
  const real = realEtcd(release);
  describeWith(`a snapshot of our member, by etcdctl ${release}`, [ours, real], () => {
    test('is restored and served by real etcd', { timeout: 60_000 }, async () => {
      const { etcdctl } = need(real);
      const member = await Member.start(need(ours), {
        flags: [`--max-cluster-version=${release}`],
      });
      members.push(member);
      const ctl = (endpoint: string, ...args: string[]) =>
        run([etcdctl, `--endpoints=${endpoint}`, ...args]);
      for (let i = 0; i < 20; i++) {
        const value = `${i}`.padEnd(50_000, 'x');
        expect((await ctl(member.endpoint, 'put', `k${i % 7}`, value)).stdout).toBe('OK\n');
      }
      const directory = temporaryDirectory();
      directories.push(directory);
      const file = join(directory, 'saved.db');
      const writing = ctl(member.endpoint, 'put', 'meanwhile', 'x');
      const saved = await ctl(member.endpoint, 'snapshot', 'save', file);
      expect([saved.code, saved.stdout]).toEqual([0, `Snapshot saved at ${file}\n`]);
      await writing;

      const restored = join(directory, 'restored');
      // The hash at the end of the file is checked.
      const restore = await ctl('', 'snapshot', 'restore', file, `--data-dir=${restored}`);
      expect([restore.code, restore.stderr]).toEqual([0, expect.anything()]);
      const again = await Member.start(realProgram(need(real)), { directory: restored });
      members.push(again);
      for (const key of ['k0', 'k6']) {
        const [before, after] = await Promise.all(
          [member, again].map(({ endpoint }) => ctl(endpoint, 'get', key)),
        );
        expect(after!.stdout).toBe(before!.stdout);
        expect(after!.stdout.length).toBeGreaterThan(50_000);
      }
    });
  });
}
