import { describe, expect, test } from 'vitest';
import { ADDRESS_CHECKS_MAX } from '../limits.ts';
import { AddressCheck, type NameLookup } from './address-check.ts';

const NAMES: Readonly<Record<string, readonly string[]>> = {
  '10.0.0.1': ['member.example.'],
  '10.0.0.2': ['infra.other.example'],
};
const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  'forward.example': ['10.0.0.9', '10.0.0.3'],
};

const lookup: NameLookup = {
  namesOf: (ip) => found(NAMES[ip], ip),
  addressesOf: (name) => found(ADDRESSES[name], name),
};

async function found(
  list: readonly string[] | undefined,
  what: string,
): Promise<readonly string[]> {
  if (list === undefined) throw new Error(`lookup ${what}: no such host`);
  return list;
}

async function problem(dnsNames: string[], ipAddresses: string[], ip: string | undefined) {
  try {
    const names = { commonName: undefined, dnsNames, ipAddresses };
    await new AddressCheck(lookup).check(names, { ip, closed: false });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('passes', () => {
  test.each<[string, string[], string[], string | undefined]>([
    ['a certificate without names', [], [], '10.0.0.1'],
    ['its address', [], ['10.0.0.1'], '10.0.0.1'],
    ['its address, and names that are not', ['x.example'], ['10.0.0.1'], '10.0.0.1'],
    ['a name that its address has', ['member.example'], [], '10.0.0.1'],
    ['a wildcard for a name of its address', ['*.other.example'], [], '10.0.0.2'],
    ['a name that has its address', ['forward.example'], [], '10.0.0.3'],
    ['a name, and another address', ['forward.example'], ['10.9.9.9'], '10.0.0.3'],
    ['a name after one that is unknown', ['none.example', 'forward.example'], [], '10.0.0.3'],
    ['a Unix socket without names', [], [], undefined],
  ])('%s', async (_, dnsNames, ips, ip) => {
    expect(await problem(dnsNames, ips, ip)).toBeUndefined();
  });
});

describe('refuses in the words of etcd', () => {
  test('another address', async () => {
    expect(await problem([], ['10.0.0.1'], '10.0.0.2')).toBe(
      'x509: certificate is valid for 10.0.0.1, not 10.0.0.2',
    );
  });

  test('names of others', async () => {
    expect(await problem(['a.example', '*.b.example'], ['10.0.0.1'], '10.0.0.2')).toBe(
      'tls: "10.0.0.2" does not match any of DNSNames ["a.example" "*.b.example"] ' +
        '(lookup a.example: no such host)',
    );
  });

  test('a wildcard is not the domain itself, and does not match a part of a label', async () => {
    expect(await problem(['*.member.example', '*.ember.example'], [], '10.0.0.1')).toMatch(
      /^tls: /,
    );
  });

  test('a Unix socket, which has no address', async () => {
    expect(await problem([], ['10.0.0.1'], undefined)).toMatch(/missing port/);
  });
});

test('a server of names that does not answer holds up those alone who need it', async () => {
  const answers: (() => void)[] = [];
  const stalled = new AddressCheck({
    namesOf: () => new Promise((resolve) => answers.push(() => resolve(['member.example']))),
    addressesOf: async () => [],
  });
  const names = { commonName: undefined, dnsNames: ['member.example'], ipAddresses: ['10.0.0.1'] };
  const open = { closed: false };
  const waiting = Array.from({ length: ADDRESS_CHECKS_MAX + 1 }, () =>
    stalled.check(names, { ip: '10.0.0.2', ...open }),
  );
  expect(stalled.check(names, { ip: '10.0.0.1', ...open })).toBeUndefined();
  await Promise.resolve();
  expect(answers).toHaveLength(ADDRESS_CHECKS_MAX);
  answers[0]!();
  await waiting[0];
  await expect.poll(() => answers.length).toBe(ADDRESS_CHECKS_MAX + 1);
  for (const answer of answers) answer();
  await Promise.all(waiting);
});

test('no name is looked up for a connection that was given up', async () => {
  const asked: string[] = [];
  const connection = { ip: '10.0.0.2', closed: false };
  const check = new AddressCheck({
    namesOf: async () => {
      connection.closed = true;
      return [];
    },
    addressesOf: async (name) => {
      asked.push(name);
      return [];
    },
  });
  await check.check(
    { commonName: undefined, dnsNames: ['a.example'], ipAddresses: [] },
    connection,
  );
  expect(asked).toEqual([]);
});
