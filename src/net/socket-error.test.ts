import { expect, test } from 'vitest';
import { handshakeError, socketError } from './socket-error.ts';

function withCode(code: string, fields: object = {}): Error {
  return Object.assign(new Error('a text of OpenSSL'), { code, ...fields });
}

test.each([
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    { reason: 'tlsv13 alert certificate required' },
    'remote error: tls: certificate required',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    { reason: 'tlsv1 alert unknown ca' },
    'remote error: tls: unknown certificate authority',
  ],
  ['ERR_SSL_BAD_RECORD_TYPE', { reason: 'bad record type' }, 'tls: bad record type'],
  [
    'ERR_SSL_WRONG_VERSION_NUMBER',
    { reason: 'wrong version number' },
    'tls: first record does not look like a TLS handshake',
  ],
  [
    'SELF_SIGNED_CERT_IN_CHAIN',
    {},
    'tls: failed to verify certificate: x509: certificate signed by unknown authority',
  ],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    { host: 'c', cert: { subjectaltname: 'DNS:a, IP Address:127.0.0.1, DNS:b' } },
    'tls: failed to verify certificate: x509: certificate is valid for a, b, not c',
  ],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    { host: '::1', cert: { subjectaltname: 'DNS:a' } },
    "x509: cannot validate certificate for ::1 because it doesn't contain any IP SANs",
  ],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    { host: 'c', cert: {} },
    'x509: certificate is not valid for any names, but wanted to match c',
  ],
])('%s is told in words: %j', (code, fields, words) => {
  const error = socketError(withCode(code, fields), 'connection with', 'a:1');
  expect(error).toMatchObject({ code: 'UNAVAILABLE', cause: { code } });
  expect(error.message).toMatch(/^connection with a:1: /);
  expect(error.message).toContain(`${words} (${code})`);
});

test('a connection that is reset is a matter of TLS only during the handshake', () => {
  const reset = withCode('ECONNRESET');
  expect(socketError(reset, 'connect to', 'a:1').message).not.toContain('TLS');
  expect(handshakeError(reset, 'connect to', 'a:1').message).toContain('does it speak TLS?');
  expect(handshakeError(withCode('ECONNREFUSED'), 'connect to', 'a:1').message).not.toContain(
    'TLS',
  );
});
