import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../base/index.ts';
import type { Network } from '../env/index.ts';
import { networkContract, Recorder } from '../env/network-contract.fixture.ts';
import { createNodeNetwork, type NetworkTls } from './node-network.ts';
import {
  CA_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  SERVER_CERT,
  SERVER_KEY,
} from './testing/certificates.fixture.ts';
import { fixedTls } from './tls.ts';

describe('the real network', () => {
  networkContract(() => ({ network: createNodeNetwork(), host: '127.0.0.1' }));
});

/** Whose addresses are all secure. */
function encrypted(tls: NetworkTls): Network {
  const { listen, connect, ...names } = createNodeNetwork(tls);
  return {
    listen: (address, accept) => listen({ ...address, secure: true }, accept),
    connect: (address, timeoutMs) => connect({ ...address, secure: true }, timeoutMs),
    ...names,
  };
}

describe('the real network over TLS', () => {
  const tls = {
    listen: fixedTls({ key: SERVER_KEY, cert: SERVER_CERT, ca: CA_CERT, requestCert: true }),
    connect: fixedTls({ key: CLIENT_KEY, cert: CLIENT_CERT, ca: CA_CERT }),
  };
  networkContract(() => ({ network: encrypted(tls), host: '127.0.0.1' }));
});

test('nothing listens at a secure address without settings', async () => {
  const address = { host: '127.0.0.1', port: 0, secure: true };
  const network = createNodeNetwork();
  await expect(network.listen(address, () => {})).rejects.toThrow(
    'cannot listen on TLS for 127.0.0.1:0: KeyFile and CertFile are not presented',
  );
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

test('a connect is given up after its time', async () => {
  // An address of the block reserved for documentation: nothing answers there, or the system says
  // at once that it cannot be reached.
  const connecting = createNodeNetwork().connect({ host: '192.0.2.1', port: 1 }, 50);
  await expect(connecting).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
