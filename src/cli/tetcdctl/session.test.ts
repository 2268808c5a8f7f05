import { expect, test } from 'vitest';
import { etcdserverpb } from '../../client/index.ts';
import { createNodeClock, createNodeTimers } from '../../env/index.ts';
import { createServer } from '../../grpc/index.ts';
import { fixedTls, listen } from '../../net/index.ts';
import {
  CA_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  SERVER_CERT,
  SERVER_KEY,
} from '../../net/testing/certificates.fixture.ts';
import { MemoryIo } from '../shell/memory-io.fixture.ts';
import { runTetcdctl } from './program.ts';

test('certificates come from files, a token from a flag', async () => {
  const server = createServer({ clock: createNodeClock(), timers: createNodeTimers() });
  const { range } = etcdserverpb.KVService.methods;
  server.unary(range.path, (call) => {
    const key = Buffer.from(`${call.peer.certificate?.commonName} ${call.metadata.get('token')}`);
    const kvs = [{ key, value: key, createRevision: 1, modRevision: 1, version: 1, lease: 0n }];
    call.reply(range.response, range.response.create({ kvs }));
  });
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    http2: server,
    tls: fixedTls({ key: SERVER_KEY, cert: SERVER_CERT, ca: CA_CERT, requestCert: true }),
  });
  const io = new MemoryIo({ env: { ETCDCTL_CACERT: 'ca' } });
  for (const [name, pem] of [
    ['ca', CA_CERT],
    ['cert', CLIENT_CERT],
    ['key', CLIENT_KEY],
  ] as const) {
    io.files.set(name, Buffer.from(pem));
  }
  const endpoint = `127.0.0.1:${listener.address.port}`;
  const flags = ['--cert=cert', '--key=key', '--auth-jwt-token=abc', `--endpoints=${endpoint}`];
  expect(await runTetcdctl([...flags, 'get', 'a'], io)).toBe(0);
  expect(io.outText).toBe('client name abc\nclient name abc\n');
  server.close();
  await listener.close();
});

test('a dial timeout of 0 and a keepalive time of 0 are none; a command timeout of 0 is over', async () => {
  const server = createServer({ clock: createNodeClock(), timers: createNodeTimers() });
  const { range } = etcdserverpb.KVService.methods;
  server.unary(range.path, (call) => call.reply(range.response, range.response.create({})));
  const listener = await listen({ address: { host: '127.0.0.1', port: 0 }, http2: server });
  const endpoint = `--endpoints=127.0.0.1:${listener.address.port}`;
  const codeOf = async (flag: string, env: Readonly<Record<string, string>> = {}) =>
    runTetcdctl(['get', 'a', endpoint, flag], new MemoryIo({ env }));
  const fine = ['--dial-timeout', '--keepalive-time', '--keepalive-timeout'].flatMap((flag) =>
    ['0', '-1s', '9999h'].map((value) => `${flag}=${value}`),
  );
  for (const flag of [...fine, '--command-timeout=9999h']) expect(await codeOf(flag), flag).toBe(0);
  expect(await codeOf('--hex', { ETCDCTL_DIAL_TIMEOUT: '0' })).toBe(0);
  expect(await codeOf('--hex', { ETCDCTL_DIAL_TIMEOUT: 'abc' })).toBe(0);
  for (const value of ['0', '-1s']) expect(await codeOf(`--command-timeout=${value}`)).toBe(1);
  server.close();
  await listener.close();
});

test('settings are shown without passwords and tokens', async () => {
  const io = new MemoryIo({ env: { ETCDCTL_PASSWORD: 'hidden' } });
  const flags = ['--debug', '--user=name:hidden', '--auth-jwt-token=hidden', '-w=bogus'];
  expect(await runTetcdctl([...flags, 'get', 'a'], io)).toBe(4);
  expect(io.errText).toContain('ETCDCTL_PASSWORD=***\nETCDCTL_USER=name:***\n');
  expect(io.errText).toContain('ETCDCTL_AUTH_JWT_TOKEN=***\n');
  expect(io.errText).not.toContain('hidden');
});

test('a file of authorities without one is refused', async () => {
  const io = new MemoryIo();
  io.files.set('ca', Buffer.from('nothing'));
  const flags = ['--endpoints=https://127.0.0.1:1', '--cacert=ca'];
  expect(await runTetcdctl([...flags, 'get', 'a'], io)).toBe(128);
  expect(io.errText).toBe('Error: TLS: ca holds no certificate in PEM\n');
});

test('endpoints come from the DNS', async () => {
  const server = createServer({ clock: createNodeClock(), timers: createNodeTimers() });
  const { range } = etcdserverpb.KVService.methods;
  server.unary(range.path, (call) =>
    call.reply(range.response, range.response.create({ count: 7 })),
  );
  const listener = await listen({ address: { host: '127.0.0.1', port: 0 }, http2: server });
  const { port } = listener.address;
  const record = { host: 'localhost', port };
  const ioWith = (...names: readonly string[]): MemoryIo => {
    const io = new MemoryIo();
    for (const name of names) io.services.set(`_${name}._tcp.example.com`, [record]);
    return io;
  };
  const get = [
    'get',
    'a',
    '-d',
    'example.com',
    '--endpoints=127.0.0.1:1',
    '--command-timeout=300ms',
  ];
  expect(await runTetcdctl(get, ioWith('etcd-client'))).toBe(0);
  const named = [...get, '--discovery-srv-name=blue'];
  expect(await runTetcdctl(named, ioWith('etcd-client-blue'))).toBe(0);

  // Real etcdctl says the same, dots included.
  const none = ioWith();
  expect(await runTetcdctl(named, none)).toBe(1);
  expect(none.errText).toBe(
    'Error: dns lookup errors: lookup _etcd-client-ssl-blue._tcp.example.com: no such host and ' +
      'lookup _etcd-client-blue._tcp.example.com: no such host\n',
  );
  const strict = ioWith('etcd-client');
  expect(await runTetcdctl([...get, '--insecure-discovery=false'], strict)).toBe(1);
  expect(strict.errText).toContain(
    `ignoring discovered insecure endpoint "http://localhost.:${port}"\n`,
  );
  server.close();
  await listener.close();
});

test('whoever accepts no insecure endpoint has servers show the domain in their certificate', async () => {
  const server = createServer({ clock: createNodeClock(), timers: createNodeTimers() });
  const { range } = etcdserverpb.KVService.methods;
  server.unary(range.path, (call) => call.reply(range.response, range.response.create({})));
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    http2: server,
    tls: fixedTls({ key: SERVER_KEY, cert: SERVER_CERT }),
  });
  const { port } = listener.address;
  const codeOf = async (domain: string, ...flags: readonly string[]) => {
    const io = new MemoryIo();
    io.files.set('ca', Buffer.from(CA_CERT));
    io.services.set(`_etcd-client-ssl._tcp.${domain}`, [{ host: 'localhost', port }]);
    const common = ['get', 'a', '--cacert=ca', '--command-timeout=1s', `-d=${domain}`];
    return runTetcdctl([...common, ...flags], io);
  };
  expect(await codeOf('example.com')).toBe(0);
  expect(await codeOf('example.com', '--insecure-discovery=false')).toBe(1);
  expect(await codeOf('localhost', '--insecure-discovery=false')).toBe(0);
  server.close();
  await listener.close();
});
