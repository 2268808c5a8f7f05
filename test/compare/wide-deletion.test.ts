// Deletions of many keys at once and what follows right behind, while ours still works them off: the same
// script on ours and on real etcd, the same answers, events and checksums.

import { afterEach, expect, test } from 'vitest';
import { ApiClient, type ApiStream, type Message } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';

const KEYS = 20_000;
const KEYS_PER_TXN = 100;
const WAIT_MS = 60_000;

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** In another order than that of the keys. */
const keyOf = (i: number): string => `k/${String((i * 7_919) % KEYS).padStart(6, '0')}`;

async function fill(client: ApiClient): Promise<void> {
  for (let i = 0; i < KEYS; i += KEYS_PER_TXN) {
    const success = Array.from({ length: KEYS_PER_TXN }, (_, n) => ({
      request_put: { key: keyOf(i + n), value: `${i + n}` },
    }));
    await client.must('KV/Txn', { success });
  }
}

function eventsOf(stream: ApiStream): string[] {
  return stream.received.flatMap((response) =>
    ((response['events'] ?? []) as readonly Message[]).map((event) => {
      const [pair, before] = [event['kv'] as Message, event['prev_kv'] as Message | null];
      const kind = event['type'] === 1 ? 'DELETE' : 'PUT';
      return `${kind} ${pair['key']} ${pair['mod_revision']} ${before?.['mod_revision']}`;
    }),
  );
}

interface Script {
  readonly client: ApiClient;
  readonly answers: unknown[];
  ask(rpc: string, request: Message): Promise<Message>;
}

function scriptOn(client: ApiClient): Script {
  const answers: unknown[] = [];
  const ask = async (rpc: string, request: Message): Promise<Message> => {
    // etcd 3.5 says no `hash_revision`.
    const { header, hash_revision: _, ...rest } = await client.must(rpc, request);
    answers.push([rpc, (header as Message)['revision'], rest]);
    return { header: header as Message, ...rest };
  };
  return { client, answers, ask };
}

async function deleteAndGoOn({ ask }: Script, range: Message, round: number): Promise<void> {
  const { header } = await ask('KV/DeleteRange', range);
  const revision = Number((header as Message)['revision']);
  for (let i = 0; i < 60; i++) {
    const key = keyOf(KEYS - 1 - i * 617);
    if (i % 3 === 0) await ask('KV/Put', { key, value: `round ${round}`, prev_kv: true });
    if (i % 5 === 0) await ask('KV/Put', { key: `${key}/new`, value: 'x' });
    if (i % 6 === 0) await ask('KV/DeleteRange', { key, prev_kv: true });
    if (i % 7 === 0) await ask('KV/Range', { key, range_end: 'l', limit: '3' });
    const at = String(revision - (i % 4));
    await ask('KV/Range', { key: 'k', range_end: key, count_only: true, revision: at });
    const compare = [{ key, target: 1, result: 2, create_revision: '0' }];
    if (i % 11 === 0) {
      await ask('KV/Txn', { compare, success: [{ request_put: { key, value: 'created' } }] });
    }
  }
  await ask('KV/Range', { key: '\0', range_end: '\0', keys_only: true });
  for (const at of [0, revision - 1, revision, revision + 1]) {
    await ask('Maintenance/HashKV', { revision: String(at) });
  }
}

async function wideDeletions(program: Program): Promise<unknown> {
  const member = await Member.start(program);
  closing.push(() => member.dispose());
  const client = new ApiClient(member.endpoint);
  closing.push(() => client.close());
  await fill(client);
  const stream = client.stream('Watch/Watch');
  closing.push(() => stream.cancel());
  stream.send({ create_request: { key: 'k', range_end: 'l', prev_kv: true } });
  await stream.until(() => stream.received.length === 1);
  const script = scriptOn(client);
  await deleteAndGoOn(script, { key: 'k/', range_end: 'k0' }, 1);
  await fill(client);
  const { header } = await client.must('KV/Put', { key: 'between', value: '' });
  await deleteAndGoOn(script, { key: 'k/005000', range_end: '\0' }, 2);
  const revision = String((header as Message)['revision']);
  await script.ask('KV/Compact', { revision, physical: true });
  await deleteAndGoOn(script, { key: '\0', range_end: '\0' }, 3);
  const last = await client.must('KV/Put', { key: 'k/last', value: '' });
  const lastRevision = String((last['header'] as Message)['revision']);
  const isLast = (): boolean => eventsOf(stream).at(-1)?.startsWith(`PUT k/last `) === true;
  expect(await stream.until(isLast, WAIT_MS)).toBe(true);
  await script.ask('KV/Compact', { revision: lastRevision, physical: true });
  await script.ask('Maintenance/HashKV', { revision: lastRevision });
  return { answers: script.answers, events: eventsOf(stream) };
}

const ours = serverUnderTest();

for (const release of ['3.5', '3.7'] as const) {
  const real = realEtcd(release);
  describeWith(`deletions of many keys as in etcd ${release}`, [ours, real], () => {
    test('answers, events and checksums', { timeout: 240_000 }, async () => {
      const mine = await wideDeletions(need(ours));
      const theirs = await wideDeletions(realProgram(need(real)));
      expect(mine).toEqual(theirs);
    });
  });
}
