// Reads in the order of revisions, through a proxy before two members that know nothing of each other: one
// is ahead, the other behind for ever.

import { afterEach, expect, test } from 'vitest';
import { until } from '../cluster/until.ts';
import { ApiClient, type Message } from '../helpers/api.ts';
import { Member, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { Proxies, START_TIMEOUT_MS } from './proxies.ts';

const ours = serverUnderTest();
const READS = 20;
const ORDERED = '--experimental-serializable-ordering';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function client(endpoint: string): ApiClient {
  const made = new ApiClient(endpoint);
  closing.push(() => made.close());
  return made;
}

async function memberWith(puts: number): Promise<Member> {
  const member = await Member.start(need(ours));
  closing.push(() => member.dispose());
  const direct = client(member.endpoint);
  for (let put = 0; put < puts; put++) await direct.must('KV/Put', { key: 'k', value: `${put}` });
  return member;
}

async function proxyBefore(members: readonly Member[], flags: readonly string[]) {
  const proxies = new Proxies();
  closing.push(() => proxies.dispose());
  const endpoints = members.map(({ endpoint }) => endpoint);
  return await proxies.start('grpc-proxy', endpoints, flags);
}

function revisionOf({ header }: Message): number {
  return Number((header as Message)['revision']);
}

/** Other keys each time: none is in the cache. */
const requests: readonly [string, (at: number) => Message][] = [
  ['KV/Range', (at) => ({ key: `${at}`, serializable: true })],
  ['KV/Range', (at) => ({ key: `${at}` })],
  ['KV/Txn', (at) => ({ success: [{ request_range: { key: `${at}`, serializable: true } }] })],
];

describeWith('before members of which one is behind, a proxy', [ours], () => {
  test.each(requests)('never goes back, if so asked: %s', async (rpc, requestAt) => {
    const members = [await memberWith(0), await memberWith(5)];
    for (const flags of [[], [ORDERED]]) {
      const { endpoint } = await proxyBefore(members, flags);
      const through = client(endpoint);
      const revisions: number[] = [];
      const read = async (): Promise<void> => {
        revisions.push(revisionOf(await through.must(rpc, requestAt(revisions.length))));
      };
      const goesBack = (): boolean =>
        revisions.some((revision, at) => at > 0 && revision < revisions[at - 1]!);
      // Whichever it is connected with first.
      await until('an answer of the one that is ahead', async () => {
        await read();
        return revisions.includes(6) ? true : undefined;
      });
      if (flags.length > 0) {
        for (let more = 0; more < READS; more++) await read();
        expect(goesBack()).toBe(false);
      } else {
        await until('an answer of the other one', async () => {
          await read();
          return goesBack() ? true : undefined;
        });
      }
    }
  });

  test('gives no older answer from its cache', async () => {
    const member = await memberWith(1);
    const { endpoint } = await proxyBefore([member], [ORDERED]);
    const [direct, through] = [client(member.endpoint), client(endpoint)];
    const cached = { key: 'k', serializable: true };
    const first = revisionOf(await through.must('KV/Range', cached));
    await direct.must('KV/Put', { key: 'k', value: 'new' });
    expect(revisionOf(await through.must('KV/Range', cached))).toBe(first);
    expect(revisionOf(await through.must('KV/Range', { key: 'other' }))).toBe(first + 1);
    expect(revisionOf(await through.must('KV/Range', cached))).toBe(first + 1);
  });

  test('says so in the words of etcd when no member has the revision any more', async () => {
    const [behind, ahead] = [await memberWith(0), await memberWith(5)];
    const { endpoint, process } = await proxyBefore([behind, ahead], [ORDERED]);
    await process.line(/waiting for linearized read from cluster to recover ordering/, 1000);
    const through = client(endpoint);
    await until('an answer of the one that is ahead', async () => {
      const revision = revisionOf(await through.must('KV/Range', { key: 'any' }));
      return revision === 6 ? true : undefined;
    });
    await ahead.kill();
    const options = { timeoutMs: 20_000 };
    let reply = await through.call('KV/Range', { key: 'x', serializable: true }, options);
    // The loss of the connection may be what the first call meets.
    if (reply.code === 14) reply = await through.call('KV/Range', { key: 'x' }, options);
    expect(reply).toMatchObject({
      code: 2,
      details:
        'etcdclient: no cluster members have a revision higher than the previously received revision',
    });
  });

  test('waits for the cluster before it serves', async () => {
    const member = await memberWith(3);
    await member.kill();
    const proxies = new Proxies();
    closing.push(() => proxies.dispose());
    const { endpoint, process } = await proxies.launch('grpc-proxy', [member.endpoint], [ORDERED]);
    await process.line(/ordering recovery failed, retrying in 1s/, START_TIMEOUT_MS);
    await member.restart();
    await process.line(/started gRPC proxy/, START_TIMEOUT_MS);
    expect(revisionOf(await client(endpoint).must('KV/Range', { key: 'k' }))).toBe(4);
  });
});
