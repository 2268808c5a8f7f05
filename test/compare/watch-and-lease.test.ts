// What the random comparison cannot drive because it depends on time or size: leases that expire,
// progress notifications, fragments. The same script on both servers, the same outcome.

import { afterEach, expect, test } from 'vitest';
import { ApiClient, type ApiStream, type Message } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function clientOf(program: Program, flags: readonly string[] = []): Promise<ApiClient> {
  const member = await Member.start(program, { flags });
  closing.push(() => member.dispose());
  const client = new ApiClient(member.endpoint);
  closing.push(() => client.close());
  return client;
}

function watchAll(client: ApiClient, more: Message = {}): ApiStream {
  const stream = client.stream('Watch/Watch');
  closing.push(() => stream.cancel());
  stream.send({ create_request: { key: '\0', range_end: '\0', ...more } });
  return stream;
}

function eventsOf(stream: ApiStream): string[] {
  return stream.received.flatMap((response) =>
    (response['events'] as readonly Message[]).map((event) => {
      const pair = event['kv'] as Message;
      return `${event['type'] === 1 ? 'DELETE' : 'PUT'} ${pair['key']} ${pair['mod_revision']}`;
    }),
  );
}

const revisionOf = (response: Message): number =>
  Number((response['header'] as Message)['revision']);

/** Two leases expire together with their keys; a third, kept alive once, stays. */
async function expiry(program: Program): Promise<unknown> {
  const client = await clientOf(program);
  const stream = watchAll(client);
  await stream.until(() => stream.received.length === 1);
  const granted: unknown[] = [];
  for (const [ID, TTL] of [
    ['11', '1'],
    ['12', '-5'],
    ['13', '60'],
  ] as const) {
    granted.push((await client.must('Lease/LeaseGrant', { ID, TTL }))['TTL']);
  }
  for (const [key, lease] of [
    ['a', '11'],
    ['b', '11'],
    ['c', '12'],
    ['d', '13'],
    ['e', '0'],
  ] as const) {
    await client.must('KV/Put', { key, value: 'v', lease });
  }
  const done = await stream.until(() => eventsOf(stream).length >= 8, 20_000);
  const events = eventsOf(stream);
  const keys = (await client.must('KV/Range', { key: '\0', range_end: '\0', keys_only: true }))[
    'kvs'
  ] as readonly Message[];
  const leases = (await client.must('Lease/LeaseLeases', {}))['leases'];
  const late = await client.call('KV/Put', { key: 'f', value: 'v', lease: '11' });
  return {
    ...{ done, granted, leases, late },
    puts: events.slice(0, 5),
    // Which of the two leases goes first is chance; their keys go together.
    deletes: events
      .slice(5)
      .map((event) => event.slice(0, 8))
      .sort(),
    keys: keys.map((pair) => pair['key']),
  };
}

/**
 * A transaction of 6 MB whose events hold the 6 MB before it too, more than a request may be: seen
 * by a watch that takes fragments and by one that does not.
 */
async function fragments(program: Program): Promise<unknown> {
  const client = await clientOf(program, ['--max-request-bytes=10000000']);
  const more = { prev_kv: true };
  const streams = [watchAll(client, { ...more, fragment: true }), watchAll(client, more)];
  for (const stream of streams) await stream.until(() => stream.received.length === 1);
  const success = Array.from({ length: 60 }, (_, i) => ({
    request_put: { key: `k${String(i).padStart(2, '0')}`, value: 'x'.repeat(100_000) },
  }));
  for (let i = 0; i < 2; i++) await client.must('KV/Txn', { success });
  const shapes: unknown[] = [];
  for (const stream of streams) {
    await stream.until(() => eventsOf(stream).length === 120);
    shapes.push({
      events: eventsOf(stream),
      fragments: stream.received.map((response) => [
        (response['events'] as readonly unknown[]).length,
        response['fragment'],
      ]),
    });
  }
  return shapes;
}

/** Progress on request comes after all events and names the current revision. */
async function progress(program: Program): Promise<unknown> {
  const client = await clientOf(program);
  for (let i = 0; i < 300; i++) await client.must('KV/Put', { key: `k${i}`, value: 'v' });
  const stream = watchAll(client, { start_revision: '1' });
  await stream.until(() => stream.received.length === 1);
  stream.send({ progress_request: {} });
  const isProgress = (response: Message): boolean => response['watch_id'] === '-1';
  const came = await stream.until(() => {
    if (stream.received.some(isProgress)) return true;
    // While the watch is behind, the request is not answered.
    return eventsOf(stream).length === 300;
  });
  if (!stream.received.some(isProgress)) stream.send({ progress_request: {} });
  await stream.until(() => stream.received.some(isProgress));
  const at = stream.received.findIndex(isProgress);
  const before = stream.received.slice(0, at).flatMap((response) => response['events']);
  return { came, eventsBefore: before.length, revision: revisionOf(stream.received[at]!) };
}

/** An idle watch that asked for it is told the current revision now and then; another is not. */
async function notifications(program: Program): Promise<unknown> {
  const flag = program.release === '3.7' ? '' : 'experimental-';
  const client = await clientOf(program, [`--${flag}watch-progress-notify-interval=200ms`]);
  await client.must('KV/Put', { key: 'a', value: '1' });
  const told = watchAll(client, { key: 'z', range_end: '', progress_notify: true });
  const untold = watchAll(client, { key: 'z', range_end: '' });
  await told.until(() => told.received.length >= 3);
  const [, ...progress] = told.received;
  return {
    told: progress.slice(0, 2).map((one) => [one['watch_id'], revisionOf(one), one['created']]),
    untold: untold.received.length,
  };
}

const ours = serverUnderTest();
const real35 = realEtcd('3.5');

describeWith('watches and leases as in etcd 3.5', [ours, real35], () => {
  test.each([
    ['leases that expire', expiry],
    ['large events in fragments', fragments],
    ['progress on request', progress],
    ['progress notifications', notifications],
  ] as const)('%s', async (_name, script) => {
    const [mine, theirs] = await Promise.all([
      script(need(ours)),
      script(realProgram(need(real35))),
    ]);
    expect(mine).toEqual(theirs);
  });
});
