import { describe, expect, test } from 'vitest';
import { hostnameProblem } from './names.ts';

const certificate = (dnsNames: readonly string[], ipAddresses: readonly string[] = []) => ({
  commonName: 'common.example',
  dnsNames,
  ipAddresses,
});

describe('a certificate is one for a host', () => {
  test.each([
    ['example.org', ['example.org'], true],
    ['EXAMPLE.org', ['example.ORG'], true],
    ['example.org.', ['example.org'], true],
    ['a.example.org', ['*.example.org'], true],
    ['a.local', ['*.local'], true],
    ['a.b.example.org', ['*.example.org'], false],
    ['example.org', ['*.example.org'], false],
    ['a.example.org', ['*'], false],
    ['ab.example.org', ['a*.example.org'], false],
    ['a.b.example.org', ['a.*.example.org'], false],
    ['a_b-c.example', ['a_b-c.example'], true],
    ['', [''], false],
    ['.', ['.'], false],
    ['a..b', ['a..b'], true],
    ['a..b', ['*..b'], false],
    ['*.example.org', ['*.example.org'], true],
    ['10.0.0.1', ['10.0.0.1'], false],
  ])('%s, %j: %s', (host, names, expected) => {
    expect(hostnameProblem(certificate(names), host) === undefined).toBe(expected);
  });

  test.each([
    ['10.0.0.1', true],
    ['::1', true],
    ['[::1]', true],
    ['0:0:0:0:0:0:0:1', true],
    ['10.0.0.2', false],
    ['::2', false],
  ])('address %s: %s', (ip, expected) => {
    expect(hostnameProblem(certificate([], ['10.0.0.1', '::1']), ip) === undefined).toBe(expected);
  });
});

test.each([
  ['common.example', [], [], 'certificate relies on legacy Common Name field, use SANs instead'],
  ['x.example', [], [], 'certificate is not valid for any names, but wanted to match x.example'],
  ['x.example', ['a', 'b'], [], 'certificate is valid for a, b, not x.example'],
  ['10.1.1.1', ['a'], ['10.0.0.1'], 'certificate is valid for 10.0.0.1, not 10.1.1.1'],
  [
    '10.1.1.1',
    ['a'],
    [],
    "cannot validate certificate for 10.1.1.1 because it doesn't contain any IP SANs",
  ],
])('why it is none, %s %j %j', (host, names, ips, text) => {
  expect(hostnameProblem(certificate(names, ips), host)).toBe(`x509: ${text}`);
});
