import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { TestAuthority } from '../testing/authority.fixture.ts';
import { readRevocationList, serialKey } from './revocation-list.ts';

const authority = new TestAuthority('authority');
const [kept, lost, other] = ['a', 'b', 'c'].map((commonName) => authority.issue({ commonName }));
const pem = authority.revoke(lost!, other!);
const der = Uint8Array.from(Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64'));

describe('serial numbers', () => {
  test.each([
    ['PEM', bytesFromLatin1(pem)],
    ['DER', der],
    ['PEM between other lines', bytesFromLatin1(`Issuer: me\n${authority.cert}\n${pem}\nend`)],
  ])('%s', (_, bytes) => {
    const { serialNumbers, nextUpdateMs } = readRevocationList(bytes);
    expect([...serialNumbers].sort()).toEqual(
      [lost!, other!].map(({ serialNumber }) => serialKey(serialNumber)),
    );
    expect(serialNumbers.has(serialKey(kept!.serialNumber))).toBe(false);
    expect(nextUpdateMs).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
  });

  test('an empty list, and several lists', () => {
    expect(readRevocationList(bytesFromLatin1(authority.revoke())).serialNumbers.size).toBe(0);
    const both = authority.revoke(lost!) + authority.revoke(other!);
    expect(readRevocationList(bytesFromLatin1(both)).serialNumbers.size).toBe(2);
  });

  test('zeros in front do not count', () => {
    expect(serialKey('00FF')).toBe(serialKey('ff'));
    expect(serialKey('00ABC')).toBe('\x0a\xbc');
  });
});

describe('what is no list is refused', () => {
  test.each([
    ['nothing', ''],
    ['text', '@invalidcontent'],
    ['a certificate', authority.cert],
  ])('%s', (_, text) => {
    expect(() => readRevocationList(bytesFromLatin1(text))).toThrow(/^x509: /);
  });

  test('cut at every byte', () => {
    for (let length = 0; length < der.length; length++) {
      expect(() => readRevocationList(der.subarray(0, length)), `at ${length}`).toThrow(/^x509: /);
    }
  });

  test('with any byte changed: refused, or a list, never another failure', () => {
    for (let at = 0; at < der.length; at++) {
      for (const bit of [0x01, 0x80]) {
        const changed = Uint8Array.from(der);
        changed[at]! ^= bit;
        try {
          readRevocationList(changed);
        } catch (error) {
          expect((error as Error).message).toMatch(/^x509: malformed revocation list/);
        }
      }
    }
  });
});
