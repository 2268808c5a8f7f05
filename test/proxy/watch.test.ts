// Watches through `tetcd grpc-proxy`: random ones beside the history of the cluster, slow clients, a
// member that ends and comes back. WATCH_SEED repeats a run.

import { afterEach, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/index.ts';
import { until } from '../cluster/until.ts';
import { ApiClient, type ApiStream, type Message } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { Proxies, type StartedProxy } from './proxies.ts';

const SEED = Number(process.env['WATCH_SEED'] ?? 11);
const TIMEOUT_MS = 120_000;

const ours = serverUnderTest();
const real = realEtcd('3.7');
const real34 = realEtcd('3.4');

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Setting {
  readonly member: Member;
  readonly proxy: StartedProxy;
  readonly direct: ApiClient;
  readonly through: ApiClient;
}

async function setUp(program: Program, flags: readonly string[] = []): Promise<Setting> {
  const member = await Member.start(program);
  closing.push(() => member.dispose());
  const proxies = new Proxies();
  closing.push(() => proxies.dispose());
  const proxy = await proxies.start('grpc-proxy', [member.endpoint], flags);
  return { member, proxy, direct: client(member.endpoint), through: client(proxy.endpoint) };
}

function client(endpoint: string): ApiClient {
  const made = new ApiClient(endpoint);
  closing.push(() => made.close());
  return made;
}

const revisionOf = (message: Message): number => Number((message['header'] as Message)['revision']);
const eventsIn = (message: Message): readonly Message[] => message['events'] as readonly Message[];

/** Level of one metric of a proxy. */
async function metric({ endpoint }: StartedProxy, name: string): Promise<number> {
  const page = await (await fetch(`http://${endpoint}/proxy/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(page)![1]);
}

interface Watching {
  readonly stream: ApiStream;
  readonly id: string;
  readonly request: Message;
  /** The first revision that it is to get; known once it is created. */
  readonly from: number;
}

/** One watcher; resolves when it is created. */
async function watch(stream: ApiStream, request: Message): Promise<Watching> {
  const before = stream.received.filter((each) => each['created'] === true).length;
  stream.send({ create_request: request });
  const creations = () => stream.received.filter((each) => each['created'] === true);
  await stream.until(() => creations().length > before);
  const created = creations()[before]!;
  expect(created['cancel_reason']).toBe('');
  const start = Number(request['start_revision'] ?? 0);
  const from = start === 0 ? revisionOf(created) + 1 : start;
  return { stream, id: String(created['watch_id']), request, from };
}

function received({ stream, id }: Watching): Message[] {
  const responses = stream.received.filter((each) => String(each['watch_id']) === id);
  for (const response of responses) {
    for (const event of eventsIn(response)) {
      const revision = Number((event['kv'] as Message)['mod_revision']);
      expect(revision).toBeLessThanOrEqual(revisionOf(response));
    }
  }
  return responses.flatMap(eventsIn);
}

/** What of the history a watcher is to get. */
function expected({ request, from }: Watching, history: readonly Message[]): Message[] {
  const key = String(request['key']);
  const end = String(request['range_end'] ?? '');
  const filters = (request['filters'] ?? []) as readonly number[];
  return history
    .filter(({ kv }) => {
      const at = String((kv as Message)['key']);
      const isIn = end === '' ? at === key : at >= key && (end === '\0' || at < end);
      return isIn && Number((kv as Message)['mod_revision']) >= from;
    })
    .filter(({ type }) => !filters.includes(Number(type)))
    .map((event) => (request['prev_kv'] === true ? event : { ...event, prev_kv: null }));
}

/** All events there have been, from the member itself. */
async function historyOf(direct: ApiClient): Promise<Message[]> {
  const stream = direct.stream('Watch/Watch');
  stream.send({
    create_request: { key: '\0', range_end: '\0', start_revision: '1', prev_kv: true },
  });
  await direct.must('KV/Put', { key: 'end', value: '' });
  const events = (): Message[] => stream.received.flatMap(eventsIn);
  const isEnd = (event: Message): boolean => (event['kv'] as Message)['key'] === 'end';
  await stream.until(() => events().some(isEnd));
  stream.cancel();
  return events();
}

const RANGES: readonly Message[] = [
  { key: 'a' },
  { key: 'b' },
  { key: 'a', range_end: 'c' },
  { key: 'a', range_end: 'c' },
  { key: '\0', range_end: '\0' },
  { key: 'b', range_end: '\0' },
];

describeWith('watches through a proxy', [ours, real], () => {
  const reals = [real, real34].flatMap((found) =>
    found.missing === undefined ? [realProgram(found.value)] : [],
  );
  const programs = [need(ours), ...reals].map((program) => [program.name, program] as const);

  test.each(programs)(
    'before %s each gets what it should',
    async (_, program) => {
      const { proxy, direct, through } = await setUp(program);
      const random = seededRandom(SEED);
      const streams = [0, 1, 2].map(() => through.stream('Watch/Watch'));
      for (const stream of streams) closing.push(() => stream.cancel());
      const watching: Watching[] = [];
      let revision = 1;
      for (let step = 0; step < 400; step++) {
        const writer = random.below(2) === 0 ? direct : through;
        const key = 'abcd'[random.below(4)]!;
        switch (random.below(8)) {
          case 0: {
            const start = [0, 1 + random.below(revision), revision + random.below(3)][
              random.below(3)
            ]!;
            const request = {
              ...RANGES[random.below(RANGES.length)]!,
              start_revision: String(start),
              prev_kv: random.below(2) === 0,
              filters: random.below(3) === 0 ? [random.below(2)] : [],
            };
            watching.push(await watch(streams[random.below(3)]!, request));
            break;
          }
          case 1:
            revision = revisionOf(await writer.must('KV/DeleteRange', { key, range_end: 'd' }));
            break;
          case 2: {
            const ops = ['a', 'b', 'c'].map((each) => ({
              request_put: { key: each, value: `${step}` },
            }));
            revision = revisionOf(await writer.must('KV/Txn', { success: ops }));
            break;
          }
          default:
            revision = revisionOf(await writer.must('KV/Put', { key, value: `v${step}` }));
        }
      }
      // All ranges see one more event each: late watchers have caught up with the others then.
      for (const key of ['a', 'b', 'c', 'd']) await direct.must('KV/Put', { key, value: 'last' });
      const history = await historyOf(direct);
      for (const each of watching) {
        const wanted = expected(each, history);
        const text = `WATCH_SEED=${SEED} repeats this: ${JSON.stringify(each.request)}`;
        await until(text, () => received(each).length >= wanted.length || undefined);
        expect(received(each), text).toEqual(wanted);
      }
      expect(watching.length).toBeGreaterThan(20);
      const distinct = new Set(RANGES.map((range) => JSON.stringify(range))).size;
      expect(await metric(proxy, 'tetcd_grpc_proxy_watchers')).toBe(watching.length);
      expect(await metric(proxy, 'tetcd_grpc_proxy_upstream_watches')).toBeLessThanOrEqual(
        distinct,
      );
      expect(await metric(proxy, 'etcd_grpc_proxy_events_coalescing_total')).toBeGreaterThan(0);
      for (const stream of streams) stream.cancel();
      await until(
        'the end of all watches',
        async () => (await metric(proxy, 'tetcd_grpc_proxy_upstream_watches')) === 0 || undefined,
      );
      expect(await metric(proxy, 'tetcd_grpc_proxy_watchers')).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    'a member that is killed and comes back: nothing is lost or repeated',
    async () => {
      const { member, direct, through } = await setUp(need(ours));
      const stream = through.stream('Watch/Watch');
      closing.push(() => stream.cancel());
      const range = { key: '\0', range_end: '\0' };
      await direct.must('KV/Put', { key: 'k', value: 'first' });
      const watching = [
        await watch(stream, { ...range, start_revision: '1' }),
        await watch(stream, range),
        await watch(stream, { ...range, start_revision: '9' }),
      ];
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 5; i++)
          await direct.must('KV/Put', { key: 'k', value: `${round}.${i}` });
        await member.kill();
        await member.restart();
      }
      const history = await historyOf(direct);
      for (const each of watching) {
        const wanted = expected(each, history);
        await until('all events', () => received(each).length >= wanted.length || undefined);
        expect(received(each)).toEqual(wanted);
      }
      expect(stream.ended).toBeUndefined();
    },
    TIMEOUT_MS,
  );

  test('refusals, ids, cancels and progress are those of a member', async () => {
    const { direct, through, member } = await setUp(need(ours));
    for (let i = 0; i < 5; i++) await direct.must('KV/Put', { key: 'k', value: `${i}` });
    await direct.must('KV/Compact', { revision: '4' });
    const answers: Message[][] = [];
    for (const endpoint of [through, client(member.endpoint)]) {
      const streams = [endpoint.stream('Watch/Watch'), endpoint.stream('Watch/Watch')];
      for (const each of streams) closing.push(() => each.cancel());
      let stream = streams[0]!;
      const send = async (request: Message, count: number) => {
        const before = stream.received.length;
        stream.send(request);
        const isThere = await stream.until(() => stream.received.length >= before + count);
        expect(isThere, JSON.stringify(request)).toBe(true);
      };
      // Without any watch yet, a proxy knows no header to refuse one with.
      await send({ create_request: { key: 'other' } }, 1);
      await send({ create_request: { key: 'b', range_end: 'a' } }, 1);
      await send({ create_request: { key: 'a', start_revision: '-1' } }, 1);
      await send({ create_request: { key: 'k', start_revision: '2' } }, 2);
      await send({ create_request: { key: 'k', watch_id: '7' } }, 1);
      await send({ create_request: { key: 'k', watch_id: '7' } }, 1);
      await send({ create_request: { key: 'k', start_revision: '5' } }, 2);
      await send({ create_request: { key: '', range_end: '\0' } }, 1);
      stream.send({ cancel_request: { watch_id: '99' } });
      await send({ cancel_request: { watch_id: '7' } }, 1);
      stream = streams[1]!;
      await send({ create_request: { key: 'k', start_revision: '5' } }, 2);
      await send({ progress_request: {} }, 1);
      answers.push(streams.flatMap(({ received }) => received));
    }
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]!.length).toBe(14);
  });

  test('a compaction while a late watcher waits ends it, and no other', async () => {
    const { direct, through } = await setUp(need(ours));
    for (let i = 0; i < 5; i++) await direct.must('KV/Put', { key: 'k', value: `${i}` });
    const stream = through.stream('Watch/Watch');
    closing.push(() => stream.cancel());
    const range = { key: 'k' };
    const current = await watch(stream, range);
    await direct.must('KV/Compact', { revision: '5' });
    stream.send({ create_request: { ...range, start_revision: '3' } });
    await stream.until(() => stream.received.some((each) => each['compact_revision'] === '5'));
    await direct.must('KV/Put', { key: 'k', value: 'more' });
    await stream.until(() => received(current).length === 1);
  });

  test(
    'a client that does not read costs a bounded amount, and gets all in the end',
    async () => {
      const { proxy, direct, through } = await setUp(need(ours));
      const slow = client(proxy.endpoint).stream('Watch/Watch');
      const quick = through.stream('Watch/Watch');
      closing.push(
        () => slow.cancel(),
        () => quick.cancel(),
      );
      const range = { key: 'k' };
      const watching = await watch(slow, range);
      const other = await watch(quick, range);
      slow.pause();
      const value = 'x'.repeat(100_000);
      for (let i = 0; i < 400; i++)
        await direct.must('KV/Put', { key: 'k', value: `${i}${value}` });
      await quick.until(() => received(other).length === 400);
      expect(await metric(proxy, 'tetcd_grpc_proxy_recent_event_bytes')).toBeLessThan(2_000_000);
      const memory = await metric(proxy, 'process_resident_memory_bytes');
      expect(memory).toBeLessThan(250_000_000);
      slow.resume();
      await slow.until(() => received(watching).length >= 400);
      const values = received(watching).map(({ kv }) =>
        Number.parseInt(String((kv as Message)['value']), 10),
      );
      expect(values).toEqual(Array.from({ length: 400 }, (_, i) => i));
    },
    TIMEOUT_MS,
  );
});
