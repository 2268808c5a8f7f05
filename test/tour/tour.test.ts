// Real etcdctl, of both releases, gets the same answers from our server as from real etcd.

import { afterEach, expect, test } from 'vitest';
import { Member, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { takeTour } from './tour.ts';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

const ours = serverUnderTest();

for (const release of ['3.4', '3.5'] as const) {
  const real = realEtcd(release);
  describeWith(`the tour with etcdctl ${release}`, [ours, real], () => {
    test('gives the same outputs as real etcd', { timeout: 180_000 }, async () => {
      const { etcdctl } = need(real);
      // Not 3.4 as server: its answers differ in known ways, see the comparison test.
      const programs = [need(ours), realProgram(need(realEtcd('3.5')))];
      for (const program of programs) members.push(await Member.start(program));
      const [mine, theirs] = await Promise.all(
        members.map((member) => takeTour(etcdctl, member.endpoint)),
      );
      for (const [index, stop] of theirs!.entries()) {
        expect.soft(mine![index], `stop ${index}`).toEqual(stop);
      }
    });
  });
}
