// A configuration file with every key of the sample that etcd ships, some of which are long gone, starts a
// member; the values are the sample's but for addresses and directory.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { READY, serverUnderTest, temporaryDirectory } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { freeAddresses } from './flags.ts';

const directory = temporaryDirectory();
afterEach(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));

const sample = (client: number, peer: number): string => `
name: 'default'
data-dir: ${join(directory, 'data')}
wal-dir:
snapshot-count: 10000
heartbeat-interval: 100
election-timeout: 1000
quota-backend-bytes: 0
listen-peer-urls: http://localhost:${peer}
listen-client-urls: http://localhost:${client}
max-snapshots: 5
max-wals: 5
cors:
initial-advertise-peer-urls: http://localhost:${peer}
advertise-client-urls: http://localhost:${client}
discovery:
discovery-fallback: 'proxy'
discovery-proxy:
discovery-srv:
initial-cluster: default=http://localhost:${peer}
initial-cluster-token: 'etcd-cluster'
initial-cluster-state: 'new'
strict-reconfig-check: false
enable-pprof: true
proxy: 'off'
proxy-failure-wait: 5000
proxy-refresh-interval: 30000
proxy-dial-timeout: 1000
proxy-write-timeout: 5000
proxy-read-timeout: 0
client-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
peer-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
  allowed-cn:
  allowed-hostname:
self-signed-cert-validity: 1
log-level: debug
logger: zap
log-outputs: [stderr]
force-new-cluster: false
auto-compaction-mode: periodic
auto-compaction-retention: "1"
cipher-suites: [
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
]
tls-min-version: 'TLS1.2'
tls-max-version: 'TLS1.3'
`;

describeWith('the sample configuration file', [serverUnderTest()], () => {
  test('starts a member, with its profiles', async () => {
    const { client, peer } = await freeAddresses();
    const path = join(directory, 'etcd.conf.yml');
    writeFileSync(path, sample(client, peer));
    const { name, command } = need(serverUnderTest());
    const server = new ServerProcess(name, [...command, `--config-file=${path}`]);
    try {
      await server.line(READY, 60_000);
      const page = await fetch(`http://localhost:${client}/debug/pprof/`);
      expect(page.status).toBe(200);
    } finally {
      await server.end('SIGTERM');
    }
  });
});
