// Who may do what: every method, as real etcd has it.

import { afterEach, expect, test } from 'vitest';
import { createSimEnv } from '../../src/env/sim/index.ts';
import { SimMember } from '../../src/server/testing/sim-member.fixture.ts';
import { ApiClient } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { askAll, LEASE_OF_A, LEASE_OF_K, ROWS } from './rpc-table.ts';
import { enableAuth, tokensOf } from './users.ts';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

test('GHSA-q8m4-xhhv-38mg, CVE-2026-33413: every method has a row, every row a method', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const served = [...member.services.entries()]
      .map(({ descriptor }) =>
        descriptor.path.replace(/^\/(?:etcdserver|v3lock|v3election)pb\./, ''),
      )
      // How a member is doing is told to everybody.
      .filter((path) => !path.startsWith('/grpc.health.v1.Health/'));
    expect(served.sort()).toEqual([...new Set(ROWS.map(({ rpc }) => rpc))].sort());
    await member.stop();
  });
});

const ours = serverUnderTest();
const real = realEtcd('3.7');

async function answersOf(program: Program) {
  const member = await Member.start(program, { flags: ['--bcrypt-cost=4'] });
  members.push(member);
  const api = new ApiClient(member.endpoint);
  for (const ID of [LEASE_OF_K, LEASE_OF_A]) await api.must('Lease/LeaseGrant', { ID, TTL: '900' });
  for (const key of ['k', 'a']) await api.must('KV/Put', { key, value: '1' });
  await api.must('KV/Put', { key: 'k1', lease: LEASE_OF_K });
  await api.must('KV/Put', { key: 'a1', lease: LEASE_OF_A });
  await enableAuth(member.endpoint);
  const answers = await askAll(api, ROWS, await tokensOf(api));
  api.close();
  return answers.map((own, i) => [`${ROWS[i]!.rpc} ${ROWS[i]!.what ?? ''}`, ...own]);
}

const expected = ROWS.map(({ rpc, what = '', answers }) => [`${rpc} ${what}`, ...answers]);

describeWith('real etcd 3.7', [real], () => {
  test('answers as the table has it', { timeout: 120_000 }, async () => {
    expect(await answersOf(realProgram(need(real)))).toEqual(expected);
  });
});

describeWith('tetcd', [ours], () => {
  test('answers as the table has it', { timeout: 120_000 }, async () => {
    expect(await answersOf(need(ours))).toEqual(expected);
  });
});
