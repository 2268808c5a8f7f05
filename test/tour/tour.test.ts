// Real etcdctl, of every release, gets the same answers from our server as from real etcd: in the clear,
// and over TLS with certificates and users.

import { afterAll, afterEach, expect, test } from 'vitest';
import { ApiClient } from '../helpers/api.ts';
import { CertificateFiles } from '../helpers/certificate-files.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from '../helpers/real-etcd.ts';
import { type Destination, takeTour } from './tour.ts';

const members: Member[] = [];
const files = new CertificateFiles();
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});
afterAll(() => files.dispose());

const ours = serverUnderTest();
const ROOT = 'root:of root';

async function inTheClear(program: Program): Promise<Destination> {
  const member = await Member.start(program);
  members.push(member);
  return { endpoint: member.endpoint };
}

/** Of every two commands one comes with a name and password, the other with the certificate alone. */
async function secured(program: Program): Promise<Destination> {
  const tls = { ...files.server(), clientAuthority: files.ca };
  const member = await Member.start(program, { tls, flags: ['--bcrypt-cost=4'] });
  members.push(member);
  const { endpoint } = member;
  const { cert, key } = files.authority.issue({ commonName: 'root' });
  const api = new ApiClient(endpoint, { ca: files.authority.cert, cert, key });
  const [name, password] = ROOT.split(':') as [string, string];
  await api.must('Auth/UserAdd', { name, password });
  await api.must('Auth/RoleAdd', { name: 'root' });
  await api.must('Auth/UserGrantRole', { user: 'root', role: 'root' });
  await api.must('Auth/AuthEnable', {});
  api.close();
  return { endpoint, credentials: CREDENTIALS };
}

/** Written once: tours that read them are under way beside each other. */
const CREDENTIALS = [flagsOf('tourist', ROOT), flagsOf('root')];

function flagsOf(commonName: string, user?: string): string[] {
  const pair = files.client(commonName);
  const tls = [`--cacert=${files.ca}`, `--cert=${pair.cert}`, `--key=${pair.key}`];
  return user === undefined ? tls : [...tls, `--user=${user}`];
}

interface Tour {
  readonly tools: Release;
  readonly server: Release;
  readonly ways: readonly ('in the clear' | 'secured')[];
}

// Not 3.4 as server: its answers differ in known ways, see the comparison test.
const tours: readonly Tour[] = [
  { tools: '3.4', server: '3.5', ways: ['in the clear', 'secured'] },
  { tools: '3.5', server: '3.5', ways: ['in the clear', 'secured'] },
  { tools: '3.7', server: '3.7', ways: ['secured'] },
];

for (const { tools, server, ways } of tours) {
  const needed = [ours, realEtcd(tools), realEtcd(server)];
  describeWith(`the tour with etcdctl ${tools}`, needed, () => {
    // At once: most of the time a tour waits for something.
    test(`gives the same outputs as real etcd ${server}`, { timeout: 180_000 }, async () => {
      const { etcdctl } = need(realEtcd(tools));
      const programs = [need(ours), realProgram(need(realEtcd(server)))];
      const pairs = ways.map((way) =>
        Promise.all(
          programs.map(async (program) =>
            takeTour(etcdctl, await (way === 'secured' ? secured(program) : inTheClear(program))),
          ),
        ),
      );
      for (const [at, [mine, theirs]] of (await Promise.all(pairs)).entries()) {
        for (const [index, stop] of theirs!.entries()) {
          expect.soft(mine![index], `stop ${index} ${ways[at]}`).toEqual(stop);
        }
      }
    });
  });
}
