import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { networkContract, Recorder } from '../network-contract.fixture.ts';
import { createNodeNetwork, takeSocket } from './network.ts';

describe('the real network', () => {
  networkContract(() => ({ network: createNodeNetwork(), host: '127.0.0.1' }));
});

test('Unix sockets', async () => {
  const network = createNodeNetwork();
  const root = mkdtempSync(join(tmpdir(), 'tetcd-socket-'));
  const address = { host: '', port: 0, path: join(root, 's') };
  await expect(network.connect(address, 1000)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const accepted = new Promise<Recorder>((resolve) => {
    network.listen(address, (stream) => resolve(new Recorder(stream)));
  });
  const client = new Recorder(await network.connect(address, 1000));
  client.stream.write(bytesFromLatin1('hello'));
  const server = await accepted;
  await server.until(() => server.received === 'hello');
  client.stream.end();
  server.stream.end();
  await client.until(() => client.closes > 0);
  rmSync(root, { recursive: true });
});

test('a connection is handed over to node:http after a look at its first bytes', async () => {
  const network = createNodeNetwork();
  const http = createServer((request, response) => response.end(`you asked ${request.url}`));
  const listener = await network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    const recorder = new Recorder(stream);
    const { onData } = stream.handler;
    stream.handler.onData = (bytes) => {
      onData(bytes);
      http.emit('connection', takeSocket(stream, bytes.slice()));
    };
    expect(recorder.closes).toBe(0);
  });
  const url = `http://127.0.0.1:${listener.address.port}/path`;
  const response = await fetch(url, { headers: { connection: 'close' } });
  expect(await response.text()).toBe('you asked /path');
  await listener.close();
});

test('a connect is given up after its time', async () => {
  // An address of the block reserved for documentation: nothing answers there, or the system says
  // at once that it cannot be reached.
  const connecting = createNodeNetwork().connect({ host: '192.0.2.1', port: 1 }, 50);
  await expect(connecting).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
