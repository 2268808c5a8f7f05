import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../../client/index.ts';
import { createMemoryDisk } from '../../env/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { TestAuthority } from '../../net/testing/authority.fixture.ts';
import { startMember } from '../index.ts';

const authority = new TestAuthority('authority');
const pair = authority.issue({ commonName: 'member', dns: ['localhost'], ip: [[127, 0, 0, 1]] });
const FREE = ['https://127.0.0.1:0'];

let root: string;
const undo: (() => unknown)[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tetcd-secure-'));
  writeFileSync(join(root, 'ca.crt'), authority.cert);
  writeFileSync(join(root, 'member.crt'), pair.cert);
  writeFileSync(join(root, 'member.key'), pair.key);
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
  rmSync(root, { recursive: true });
});

function secureOptions() {
  const [cert, key, ca] = ['member.crt', 'member.key', 'ca.crt'].map((name) => join(root, name));
  return {
    env: { disk: createMemoryDisk() },
    ...{ listenClientUrls: FREE, listenPeerUrls: FREE, listenMetricsUrls: FREE },
    ...{ certFile: cert, keyFile: key, trustedCaFile: ca },
    ...{ peerCertFile: cert, peerKeyFile: key, peerTrustedCaFile: ca },
  };
}

test('a member inside a program serves over TLS at ports that the system chooses', async () => {
  const member = await startMember(secureOptions());
  undo.push(() => member.close());
  for (const url of [...member.clientUrls, ...member.peerUrls, ...member.metricsUrls]) {
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:[1-9]\d*$/);
  }
  const tls = { ca: authority.cert, cert: pair.cert, key: pair.key };
  const client = await connect({ endpoints: member.clientUrls, tls });
  undo.push(() => client.close());
  await client.kv.put('a', '1');
  expect((await client.kv.get('a')).kv?.valueText).toBe('1');
  const status = await new Promise((resolve, reject) => {
    const url = `${member.metricsUrls[0]}/health`;
    get(url, { ...tls, agent: false }, (answer) => resolve(answer.resume().statusCode)).on(
      'error',
      reject,
    );
  });
  expect(status).toBe(200);
});

test('what its files, its disk or its network cannot give is refused', async () => {
  const bad = { ...secureOptions(), keyFile: join(root, 'ca.crt') };
  await expect(startMember(bad)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/^client TLS: .*ca\.crt: tls: found a certificate rather than/),
  });
  const generated = { env: { disk: createMemoryDisk() }, listenClientUrls: FREE, autoTls: true };
  await expect(startMember(generated)).rejects.toThrow('need the real disk');
  const { network } = createSimEnv({ seed: 1 });
  const foreign = { ...secureOptions(), listenMetricsUrls: [], env: { network } };
  await expect(startMember(foreign)).rejects.toThrow('does not take options of TLS');
});
