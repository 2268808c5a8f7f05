// Certificates that an authority signed with a digest which can be forged: refused at every port, as by
// real etcd, whose Go takes neither MD5 nor SHA-1.

import { afterEach, expect, test } from 'vitest';
import { type IssueOptions, TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { httpsGet } from '../helpers/https-get.ts';
import { type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, type Found, need, realEtcd } from '../helpers/real-etcd.ts';
import { LOOPBACK, SecureMember, securePorts } from './secure-member.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');
const theirs: Found<Program> =
  real.missing === undefined ? { value: realProgram(real.value) } : real;

const members: SecureMember[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

const authorities = {
  ECDSA: new TestAuthority('authority'),
  RSA: new TestAuthority('authority', undefined, 'rsa-2048'),
};
const WEAK: readonly (readonly [
  keyOf: keyof typeof authorities,
  NonNullable<IssueOptions['digest']>,
])[] = [
  ['ECDSA', 'sha1'],
  ['RSA', 'sha1'],
  ['RSA', 'md5'],
];

const programs: readonly (readonly [string, Found<Program>, RegExp])[] = [
  ['ours', ours, /^tls: failed to verify certificate: x509: refused by OpenSSL/],
  // Of Go OpenSSL knows that it takes no MD5, and shows no such certificate.
  ['etcd 3.7', theirs, /insecure algorithm|client didn't provide a certificate/],
];
for (const [name, program, reason] of programs) {
  describeWith(`a client of ${name}`, [program], () => {
    test.each(WEAK)('is refused with a certificate signed with %s and %s', async (kind, digest) => {
      const authority = authorities[kind];
      const member = new SecureMember('m1', await securePorts()).certify(authority);
      members.push(member);
      await member.start(need(program));
      const ask = (port: number, options: IssueOptions) => {
        const { cert, key } = authority.issue({ commonName: 'client', ...LOOPBACK, ...options });
        // The client itself would not show it otherwise.
        const ciphers = 'DEFAULT@SECLEVEL=0';
        return httpsGet(port, '/version', { ca: authority.cert, cert, key, ciphers });
      };
      for (const port of [member.ports.client, member.ports.peer]) {
        expect((await ask(port, {})).status).toBe(200);
        await expect(ask(port, { digest })).rejects.toThrow();
      }
      for (const endpoint of ['client', 'peer']) {
        const line = await member.line(new RegExp(`rejected connection on ${endpoint} endpoint`));
        expect((JSON.parse(line) as { error: string }).error).toMatch(reason);
      }
    });
  });
}
