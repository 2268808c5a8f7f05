// The pages of calls: what is under way, and what was slow; for who is on this machine.

import { createServer } from 'node:http';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { RequestLog, RequestPages } from '../../src/server/debug/request-pages.ts';
import { parseTarget } from '../../src/server/http/target.ts';
import { ApiClient } from '../helpers/api.ts';
import { Member, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';

const ours = serverUnderTest();
const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

async function start(flags: readonly string[]): Promise<Member> {
  const member = await Member.start(need(ours), { flags });
  members.push(member);
  return member;
}

const get = (member: Member, path: string): Promise<Response> =>
  fetch(`${member.clientUrl}${path}`);

describeWith('/debug/requests and /debug/events', [ours], () => {
  test('are there at the log level debug alone', async () => {
    const member = await start([]);
    for (const path of ['/debug/requests', '/debug/events']) {
      expect((await get(member, path)).status).toBe(404);
    }
    await member.stop();
    await member.restart({ flags: ['--log-level=debug'] });
    for (const path of ['/debug/requests', '/debug/events']) {
      const page = await get(member, path);
      expect([page.status, page.headers.get('content-type')]).toEqual([
        200,
        'text/html; charset=utf-8',
      ]);
    }
  });

  test('show calls by service, and nothing of what was asked', async () => {
    const member = await start(['--log-level=debug']);
    const client = new ApiClient(member.endpoint);
    await client.must('KV/Put', { key: 'a-key', value: 'a-value' });
    await client.call('KV/Range', {});
    await client.call('Auth/Authenticate', { name: 'a-name', password: 'a-password' });
    const watch = client.stream('Watch/Watch', 'a-token');
    watch.send({ create_request: { key: 'a-key' } });
    expect(await watch.until(() => watch.received.length === 1)).toBe(true);
    const kv = 'fam=grpc.Recv.etcdserverpb.KV';
    const pages = await Promise.all(
      [
        '/debug/requests',
        `/debug/requests?${kv}&b=0&exp=1`,
        `/debug/requests?${kv}&b=8&exp=true`,
        '/debug/requests?fam=grpc.Recv.etcdserverpb.Watch&b=-1',
        '/debug/requests?fam=grpc.Recv.etcdserverpb.Auth&b=0&exp=1',
        `/debug/requests?fam=${encodeURIComponent('<script>')}&b=0`,
        `/debug/requests?${kv}&b=99`,
      ].map(async (path) => (await get(member, path)).text()),
    );
    const [families, all, failed, active, , stranger] = pages;
    expect(families).toMatch(/etcdserverpb\.Watch<\/td><td class="active"><a [^>]*>\[1 active\]/);
    expect(families).toContain('[&ge;0.05s]');
    expect(all).toMatch(/\d\.\d{6}<\/td><td>\/etcdserverpb\.KV\/Put</);
    expect(all).toMatch(/RPC: from 127\.0\.0\.1:\d+ deadline:(?:30s|29\.\d+s)</);
    expect(all).toContain('<td>OK</td>');
    expect(failed).not.toContain('/etcdserverpb.KV/Put');
    expect(failed).toContain('InvalidArgument: etcdserver: key is not provided');
    expect(active).toContain('<td class="elapsed"></td><td>/etcdserverpb.Watch/Watch</td>');
    expect(stranger).toContain('&lt;script&gt;');
    for (const page of pages) expect(page).not.toMatch(/a-key|a-value|a-name|a-password|a-token/);
    watch.cancel();
    client.close();
  });
});

const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address;

test.runIf(address !== undefined)('they are not for other machines', async () => {
  const clock = { wallMs: () => 0, monotonicMs: () => 0 };
  const pages = new RequestPages(new RequestLog(clock));
  const server = createServer((request, response) => {
    pages.handle(request, response, parseTarget(request.url!)!);
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  const { port } = server.address() as { port: number };
  const seen = await Promise.all(
    [address!, '127.0.0.1'].map(async (host) => {
      const page = await fetch(`http://${host}:${port}/debug/requests`);
      return [page.status, (await page.text()).slice(0, 11)];
    }),
  );
  server.closeAllConnections();
  server.close();
  expect(seen).toEqual([
    [401, 'not allowed'],
    [200, '<html>\n<hea'],
  ]);
});
