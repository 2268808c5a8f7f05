// A value changes in the database of one member: ours and real members find it in each other.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, onTestFailed, test } from 'vitest';
import { type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { Cluster } from './cluster.ts';
import type { ClusterMember, Server } from './cluster-member.ts';
import { until } from './until.ts';

const TIMEOUT_MS = 60_000;
const CORRUPT = 2;
const VALUE = 'a value that is easily found';

let cluster: Cluster | undefined;
afterEach(() => cluster?.dispose());

function checked(program: Program): Server {
  const prefix = program.release === '3.5' ? 'experimental-' : '';
  const gate =
    program.release === '3.5'
      ? '--experimental-compact-hash-check-enabled=true'
      : '--feature-gates=CompactHashCheck=true';
  const times = ['compact-hash-check-time', 'corrupt-check-time'];
  return { program, flags: [gate, ...times.map((name) => `--${prefix}${name}=300ms`)] };
}

/** A bit of the value, wherever the database of a stopped member has it. */
function flip(member: ClusterMember): void {
  const path = join(member.directory, 'member', 'snap', 'db');
  const content = readFileSync(path);
  let at = content.indexOf(VALUE);
  expect(at).toBeGreaterThan(0);
  for (; at >= 0; at = content.indexOf(VALUE, at)) content[at]! ^= 1;
  writeFileSync(path, content);
}

/** Both kinds of checks find all members equal, with this one as leader. */
async function agreeUnder(leader: ClusterMember, all: Cluster): Promise<void> {
  await all.moveLeader(leader);
  const before = leader.log().length;
  await leader.client.must('KV/Put', { key: 'k', value: 'more' });
  await leader.client.must('KV/Compact', { revision: String(await all.revision()) });
  const since = (): string => leader.log().slice(before);
  const says = (text: RegExp) => () => text.test(since()) || undefined;
  await until('a check of the keys', says(/finished peer corruption check.*:2\D/));
  await until('a check of compactions', says(/successfully checked hash on whole cluster.*:2\D/));
  const { alarms = [] } = await leader.client.must('Maintenance/Alarm', { action: 0 });
  expect(alarms).toEqual([]);
}

const ours = serverUnderTest();
for (const release of ['3.5', '3.7'] as const) {
  const real = realEtcd(release);
  describeWith(`members of ours and of etcd ${release}`, [ours, real], () => {
    test('have the same hashes, and find who differs', { timeout: TIMEOUT_MS }, async () => {
      const servers = [need(ours), realProgram(need(real)), need(ours)].map(checked);
      cluster = await Cluster.start({ servers });
      const all = cluster;
      onTestFailed(() => console.error(all.logs()));
      const [mine, theirs, other] = all.members as [ClusterMember, ClusterMember, ClusterMember];
      for (const key of ['a', 'b', 'c']) await mine.client.must('KV/Put', { key, value: VALUE });
      await mine.client.must('KV/DeleteRange', { key: 'c' });
      await agreeUnder(mine, all);
      await agreeUnder(theirs, all);

      // A leader of 3.5 names nobody when it compares keys.
      await all.moveLeader(mine);
      await other.stop();
      flip(other);
      await other.restart();
      const alarm = await until('an alarm', async () => {
        const { alarms = [] } = await mine.client.must('Maintenance/Alarm', { action: 0 });
        return (alarms as { memberID: string; alarm: number }[])[0];
      });
      expect(alarm).toMatchObject({ alarm: CORRUPT });
      expect(BigInt(alarm.memberID).toString(16)).toBe(BigInt(other.id).toString(16));
      for (const { client } of [mine, theirs]) {
        const refused = await client.call('KV/Put', { key: 'k', value: 'v' });
        expect(refused).toMatchObject({ code: 15, details: 'etcdserver: corrupt cluster' });
      }
    });
  });
}
