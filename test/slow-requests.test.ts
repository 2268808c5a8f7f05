// A member whose disk is slow says so: lines of the log about requests that took long, in etcd's form.

import { afterEach, expect, test } from 'vitest';
import { ApiClient } from './helpers/api.ts';
import { Member, serverUnderTest } from './helpers/member.ts';
import { describeWith, need } from './helpers/real-etcd.ts';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

interface Line {
  readonly msg: string;
  readonly operation?: string;
  readonly [name: string]: unknown;
}

async function linesOf(terms: string, flags: readonly string[]): Promise<Line[]> {
  const member = await Member.start(need(ours), { env: { GOFAIL_FAILPOINTS: terms }, flags });
  members.push(member);
  const client = new ApiClient(member.endpoint);
  await client.must('KV/Put', { key: 'foo', value: 'secret' });
  await client.must('KV/Range', { key: 'foo' });
  expect((await client.call('KV/Range', { key: 'foo', revision: '9' })).code).toBe(11);
  client.close();
  await member.stop();
  expect(member.log()).not.toContain('secret');
  const lines = member.log().trimEnd().split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line): Line => JSON.parse(line));
}

const ours = serverUnderTest();
describeWith('a member whose disk takes 400 ms', [ours], () => {
  test('traces a put to the log, and warns of the request as a whole', async () => {
    const flags = ['--warning-unary-request-duration=120ms'];
    const lines = await linesOf('raftBeforeSave=sleep(400)', flags);
    expect(lines.find(({ operation }) => operation === 'put')).toMatchObject({
      level: 'info',
      msg: 'trace',
      trace_id: expect.any(Number),
      detail: expect.stringMatching(/^\{key:foo; req_size:13; response_revision:2; \}$/),
      duration: expect.stringMatching(/^\d+(\.\d+)?ms$/),
      start: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      end: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      steps: [expect.stringMatching(/^'process raft request' {2}\(duration: \d+(\.\d+)?ms\)$/)],
      step_count: 1,
    });
    expect(lines.find(({ msg }) => msg === 'request stats')).toMatchObject({
      level: 'warn',
      'response type': '/etcdserverpb.KV/Put',
      remote: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      'time spent': expect.stringMatching(/^\d+(\.\d+)?ms$/),
    });
    expect(lines.some(({ msg }) => msg === 'apply request took too long')).toBe(false);
  });
});

describeWith('a member that is asked to warn of every apply', [ours], () => {
  test('shows the requests without their values', async () => {
    const lines = await linesOf('', ['--warning-apply-duration=0s']);
    const warned = lines.filter(({ msg }) => msg === 'apply request took too long');
    expect(warned).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        prefix: '',
        request: expect.stringMatching(/^header:<ID:\d+> put:<key:"foo" value_size:6 >$/),
        response: 'size:4',
        'expected-duration': '0s',
      }),
    );
    expect(warned).toContainEqual(
      expect.objectContaining({
        prefix: 'read-only range ',
        request: 'key:"foo"',
        response: expect.stringMatching(/^range_response_count:1 size:\d+$/),
      }),
    );
    expect(warned).toContainEqual(
      expect.objectContaining({
        request: 'key:"foo" revision:9',
        response: '',
        error: 'etcdserver: mvcc: required revision is a future revision',
      }),
    );
    expect(lines.some(({ msg }) => msg === 'trace')).toBe(false);
  });
});
