// GODEBUG=http2debug: what a member says of its clients' connections, beside a real etcd.

import { afterEach, expect, test } from 'vitest';
import { ApiClient } from './helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from './helpers/member.ts';
import { describeWith, need, realEtcd } from './helpers/real-etcd.ts';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

/** Lines of the trace of one put, without time and name of the connection. */
async function linesOf(program: Program, level: number): Promise<string[]> {
  const member = await Member.start(program, { env: { GODEBUG: `http2debug=${level}` } });
  members.push(member);
  const client = new ApiClient(member.endpoint);
  await client.must('KV/Put', { key: 'foo', value: 'bar' });
  client.close();
  await member.stop();
  return member
    .log()
    .split('\n')
    .filter((line) => !line.startsWith('{') && line !== '')
    .map((line) => {
      expect(line).toMatch(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d http2: /);
      return line
        .slice('2006/01/02 15:04:05 '.length)
        .replace(/Framer 0xc?[0-9a-f]+:/, 'Framer:')
        .replace(/127\.0\.0\.1:\d+/, 'HOST');
    });
}

const ours = serverUnderTest();
describeWith('a member with GODEBUG=http2debug', [ours], () => {
  test('=2 shows frames, data and fields, and the log besides', async () => {
    const lines = await linesOf(need(ours), 2);
    expect(lines).toContainEqual(
      'http2: decoded hpack field header field ":path" = "/etcdserverpb.KV/Put"',
    );
    const data = String.raw`data="\x00\x00\x00\x00\n\n\x03foo\x12\x03bar"`;
    expect(lines).toContainEqual(expect.stringMatching(/Framer: read DATA .*stream=1 len=15 /));
    expect(lines.some((line) => line.endsWith(data))).toBe(true);
    expect(members[0]!.log()).toContain('ready to serve client requests');
  });

  test('=1 shows frames alone', async () => {
    const lines = await linesOf(need(ours), 1);
    expect(lines).toContainEqual(
      expect.stringMatching(/^http2: Framer: read HEADERS flags=END_HEADERS stream=1 len=\d+$/),
    );
    expect(lines.join('\n')).not.toMatch(/decoded|foo/);
  });
});

const real = realEtcd('3.7');
describeWith('beside a real etcd', [ours, real], () => {
  test('header fields and frames of headers are printed alike', async () => {
    const alike = (lines: readonly string[]): string[] =>
      lines.filter((line) => /decoded|read HEADERS/.test(line));
    const theirs = alike(await linesOf(realProgram(need(real)), 2));
    expect(theirs.length).toBeGreaterThan(5);
    const timeless = (lines: readonly string[]): string[] =>
      lines.map((line) => line.replace(/("grpc-timeout" = ).*/, '$1').replace(/len=\d+$/, 'len='));
    expect(timeless(alike(await linesOf(need(ours), 2)))).toEqual(timeless(theirs));
  });
});
