import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { createNodeNetwork } from './node-network.ts';
import { knowsReusePort } from './shared-port.ts';

const network = createNodeNetwork(undefined, { reusePort: true });

test('two listeners share a port, and others do not', async () => {
  const accepted = { first: 0, second: 0 };
  const first = await network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    accepted.first++;
    stream.destroy();
  });
  const { address } = first;
  const second = await network.listen(address, (stream) => {
    accepted.second++;
    stream.destroy();
  });
  expect(second.address).toEqual(address);
  await expect(createNodeNetwork().listen(address, () => {})).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  // The system chooses by the ports of the other side: in a hundred, both get some.
  for (let i = 0; i < 100; i++) await once(connect(address.port, '127.0.0.1'), 'close');
  expect(accepted.first + accepted.second).toBe(100);
  expect(accepted.first).toBeGreaterThan(0);
  expect(accepted.second).toBeGreaterThan(0);
  await first.close();
  await second.close();
});

test.each(['', 'localhost', '0.0.0.0', '::'])('of the host %j', async (host) => {
  const listener = await network.listen({ host, port: 0 }, (stream) => stream.destroy());
  const at = listener.address.host === '::1' ? '::1' : '127.0.0.1';
  await once(connect(listener.address.port, at), 'close');
  await listener.close();
});

test('a port of one who does not share is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  await expect(network.listen({ host: '127.0.0.1', port }, () => {})).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  });
  server.close();
});

test('an address of another machine', async () => {
  await expect(network.listen({ host: '192.0.2.1', port: 0 }, () => {})).rejects.toMatchObject({
    message: expect.stringContaining('listen on 192.0.2.1:0'),
  });
});

test.each([
  ['20.19.0', false],
  ['22.11.0', false],
  ['22.12.0', true],
  ['23.0.0', false],
  ['23.1.0', true],
  ['24.0.0', true],
])('Node.js %s: %s', (version, knows) => {
  expect(knowsReusePort(version)).toBe(knows);
});
