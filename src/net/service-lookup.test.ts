import { afterEach, expect, test } from 'vitest';
import { resolveService } from './service-lookup.ts';
import { type Answers, NameServer } from './testing/name-server.fixture.ts';

const servers: NameServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(answers: Answers): Promise<string> {
  const server = await NameServer.start(answers);
  servers.push(server);
  return server.address;
}

const NAME = '_etcd-server._tcp.example.com';

test('records come in the order of priority, then of weight', async () => {
  const record = (priority: number, weight: number, target: string, port = 2380) => ({
    ...{ priority, weight, port, target },
  });
  const address = await serve({
    [NAME]: [
      record(20, 0, 'c.example.com'),
      record(10, 1, 'b.example.com', 65535),
      record(10, 5, 'a.example.com'),
    ],
  });
  expect(await resolveService(NAME, 5_000, [address])).toEqual([
    { host: 'a.example.com', port: 2380, priority: 10, weight: 5 },
    { host: 'b.example.com', port: 65535, priority: 10, weight: 1 },
    { host: 'c.example.com', port: 2380, priority: 20, weight: 0 },
  ]);
});

test.each([
  ['no such name', 3, 'no such host'],
  ['a name without such records', [], 'no such host'],
  ['a server that fails', 2, 'server misbehaving'],
  ['a server that refuses', 5, 'server misbehaving'],
] as const)('%s', async (_what, answer, reason) => {
  const address = await serve({ [NAME]: answer });
  await expect(resolveService(NAME, 5_000, [address])).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: `lookup ${NAME} on ${address}: ${reason}`,
  });
});

test('a server that does not answer is given up in time', async () => {
  const address = await serve({ [NAME]: 'silence' });
  await expect(resolveService(NAME, 50, [address])).rejects.toMatchObject({
    message: `lookup ${NAME} on ${address}: i/o timeout`,
  });
});

test('nobody at the address of the server', async () => {
  const address = await serve({});
  servers.pop()!.close();
  await expect(resolveService(NAME, 20_000, [address])).rejects.toMatchObject({
    message: `lookup ${NAME} on ${address}: connection refused`,
  });
});

test.each([
  ['192.0.2.1', '192.0.2.1:53'],
  ['2001:db8::1', '[2001:db8::1]:53'],
])('the server %s is named with its port', async (server, shown) => {
  // Nobody answers there, or the machine knows no way to it.
  await expect(resolveService(NAME, 0, [server])).rejects.toThrow(`lookup ${NAME} on ${shown}: `);
});
