import { createSecureContext, getCiphers } from 'node:tls';
import { expect, test } from 'vitest';
import {
  cipherSuiteProblem,
  http2SuiteProblem,
  missingSuiteProblem,
  opensslCiphers,
} from './cipher-suites.ts';

test('names of Go become names of OpenSSL, in their order', () => {
  const names = [
    'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
    'TLS_AES_128_GCM_SHA256',
    'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305',
    'TLS_RSA_WITH_AES_128_CBC_SHA',
  ];
  expect(cipherSuiteProblem(names)).toBeUndefined();
  expect(missingSuiteProblem(names, getCiphers())).toBeUndefined();
  expect(opensslCiphers(names).split(':').slice(3)).toEqual([
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-RSA-CHACHA20-POLY1305',
    'AES128-SHA',
  ]);
  expect(() => createSecureContext({ ciphers: opensslCiphers(names) })).not.toThrow();
});

test('GHSA-5x4g-q5rc-36jp: by default, none with RC4, 3DES or CBC', () => {
  const ciphers = opensslCiphers([]);
  expect(ciphers.split(':')).toHaveLength(9);
  expect(ciphers).not.toMatch(/RC4|DES|SHA(:|$)/);
});

test('names that cannot be used', () => {
  expect(cipherSuiteProblem(['X'])).toBe('unexpected TLS cipher suite "X"');
  expect(cipherSuiteProblem(['constructor'])).toBe('unexpected TLS cipher suite "constructor"');
  const weak = ['TLS_AES_128_GCM_SHA256', 'TLS_RSA_WITH_RC4_128_SHA'];
  expect(cipherSuiteProblem(weak)).toBeUndefined();
  expect(missingSuiteProblem(weak, getCiphers())).toBe(
    'TLS cipher suite "TLS_RSA_WITH_RC4_128_SHA" is too weak for this runtime',
  );
});

test('HTTP/2 needs a suite of its own', () => {
  expect(http2SuiteProblem([])).toBeUndefined();
  expect(http2SuiteProblem(['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'])).toBeUndefined();
  expect(http2SuiteProblem(['TLS_RSA_WITH_AES_128_CBC_SHA'])).toMatch(
    /^http2: TLSConfig\.CipherSuites is missing an HTTP\/2-required AES_128_GCM_SHA256 cipher/,
  );
});
