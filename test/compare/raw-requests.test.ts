// Requests that no gRPC library sends, against real etcd 3.7.1 and ours: what each answers must stand
// in `raw-requests.txt`.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { askAll } from './raw-requests.ts';

const TIMEOUT_MS = 90_000;
/** The answer depends on what happens first. */
const BY_CHANCE = '*';

interface Expected {
  readonly etcd: string;
  readonly ours: string;
}

function expectations(): Map<string, Expected> {
  const text = readFileSync(new URL('raw-requests.txt', import.meta.url), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [name, etcd, ours] = line.split(' | ') as [string, string, string?];
      return [name, { etcd, ours: ours ?? etcd }];
    }),
  );
}

/** Headers of an HTTP/1 request, larger than Node takes by default and smaller than Go does. */
async function expectLargeHeaders(member: Member): Promise<void> {
  const url = `http://${member.endpoint}/version`;
  const response = await fetch(url, { headers: { 'x-large': 'x'.repeat(900_000) } });
  expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('3.7')]);
}

async function expectAnswers(program: Program, side: keyof Expected): Promise<void> {
  const member = await Member.start(program);
  try {
    const answers = Object.fromEntries(await askAll(member.endpoint));
    const expected = [...expectations()].map(([name, one]) => {
      return [name, one[side] === BY_CHANCE ? answers[name] : one[side]];
    });
    expect(answers).toEqual(Object.fromEntries(expected));
    await expectLargeHeaders(member);
  } finally {
    await member.dispose();
  }
}

const ours = serverUnderTest();
const real = realEtcd('3.7');

describeWith('requests as bytes to our server', [ours], () => {
  test('are answered as the table says', { timeout: TIMEOUT_MS }, () =>
    expectAnswers(need(ours), 'ours'),
  );
});

describeWith('requests as bytes to etcd 3.7', [real], () => {
  test('are answered as the table says', { timeout: TIMEOUT_MS }, () =>
    expectAnswers(realProgram(need(real)), 'etcd'),
  );
});
