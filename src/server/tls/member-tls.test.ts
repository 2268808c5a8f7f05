import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createNodeEnv } from '../../net/index.ts';
import { TestAuthority } from '../../net/testing/authority.fixture.ts';
import { simConfig } from '../testing/sim-member.fixture.ts';
import { loadMemberTls } from './member-tls.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tetcd-member-tls-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(root, name);
  writeFileSync(path, text);
  return path;
}

const SRV = { domain: 'example.com', serviceName: '' };

test.each([
  ['with records of the DNS', SRV, false, 'example.com'],
  ['with their authority, too', SRV, true, undefined],
  ['without records', undefined, false, undefined],
])('whom another member has to be: %s', async (_what, srvDiscovery, hasAuthority, name) => {
  const authority = new TestAuthority('test authority');
  const { cert, key } = authority.issue({ commonName: 'member' });
  const { peerTls } = simConfig();
  const config = simConfig({
    srvDiscovery,
    peerTls: {
      ...peerTls,
      certFile: file('cert.pem', cert),
      keyFile: file('key.pem', key),
      trustedCaFile: hasAuthority ? file('ca.pem', authority.cert) : '',
    },
  });
  const log = { child: () => log, info: () => {}, warn: () => {} } as never;
  const tls = await loadMemberTls(config, { env: createNodeEnv(), log });
  expect(tls!.peers!.connect.current().servername).toBe(name);
});
