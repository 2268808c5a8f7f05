import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSelfSigned } from './self-signed.ts';

const DAY_MS = 86_400_000;
const FROM_MS = Date.UTC(2026, 0, 1);

async function made(options: Partial<Parameters<typeof createSelfSigned>[0]> = {}) {
  const { cert, key } = await createSelfSigned({
    hosts: ['localhost'],
    notBeforeMs: FROM_MS,
    notAfterMs: FROM_MS + 365 * DAY_MS,
    serialNumber: new Uint8Array(16).fill(0xff),
    ...options,
  });
  return { cert, key, parsed: new X509Certificate(cert) };
}

test('is one for its hosts, of the kind that etcd makes', async () => {
  const hosts = ['localhost', '127.0.0.1', '::1', 'fe80::1:2'];
  const { key, parsed } = await made({ hosts });
  expect(parsed.subjectAltName).toBe(
    'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, ' +
      'IP Address:FE80:0:0:0:0:0:1:2',
  );
  expect([parsed.subject, parsed.issuer]).toEqual(['O=etcd', 'O=etcd']);
  expect(parsed.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(parsed.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp521r1' });
  expect(parsed.verify(parsed.publicKey)).toBe(true);
  expect(parsed.serialNumber).toBe(`7F${'FF'.repeat(15)}`);
  expect(key).toMatch(/^-----BEGIN EC PRIVATE KEY-----\n/);
  expect(parsed.checkPrivateKey(createPrivateKey(key))).toBe(true);
});

describe('its dates', () => {
  test.each([365, 365 * 40])('%i days', async (days) => {
    const notAfterMs = FROM_MS + days * DAY_MS;
    const { parsed } = await made({ notAfterMs });
    expect(Date.parse(parsed.validFrom)).toBe(FROM_MS);
    expect(Date.parse(parsed.validTo)).toBe(notAfterMs);
  });
});

test('a serial number is positive, and never 0', async () => {
  const { parsed } = await made({ serialNumber: new Uint8Array(16) });
  expect(parsed.serialNumber).toBe(`40${'00'.repeat(15)}`);
});
