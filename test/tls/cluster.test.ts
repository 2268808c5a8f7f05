// Clusters whose members speak TLS to each other and to clients: of ours and of real etcd; and a change of
// authority, member by member, under load.

import { afterEach, expect, test } from 'vitest';
import { type Client, connect } from '../../src/client/index.ts';
import { type Issued, TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { until } from '../cluster/until.ts';
import { type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { etcdctl, httpsGet, LOOPBACK, SecureMember, securePorts } from './secure-member.ts';

const ours = serverUnderTest();
const members: SecureMember[] = [];
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  for (const member of members.splice(0)) await member.dispose();
});

/** Three members that trust `authority` alone; resolves when all of them serve. */
async function startCluster(
  programs: readonly Program[],
  authority: TestAuthority,
): Promise<SecureMember[]> {
  const cluster: SecureMember[] = [];
  for (const at of programs.keys()) {
    const member = new SecureMember(`m${at + 1}`, await securePorts()).certify(authority);
    member.pem.putPair('client', authority.issue({ commonName: 'client', ...LOOPBACK }));
    cluster.push(member);
    members.push(member);
  }
  await Promise.all(
    cluster.map((member, at) => member.start(programs[at]!, member.flags(cluster))),
  );
  return cluster;
}

for (const release of ['3.5', '3.7'] as const) {
  const real = realEtcd(release);
  describeWith(`two of ours and etcd ${release}`, [ours, real], () => {
    test('agree, each of them asked over TLS, also after a restart', async () => {
      const programs = [need(ours), need(ours), realProgram(need(real))];
      const cluster = await startCluster(programs, new TestAuthority('authority'));
      const tool = need(real).etcdctl;
      const ask = (member: SecureMember, args: readonly string[]) =>
        etcdctl(tool, member.clientUrl, member.pem, args);
      for (const [at, member] of cluster.entries()) {
        expect((await ask(member, ['put', `key${at}`, member.name])).stdout).toBe('OK\n');
      }
      await cluster[0]!.stop();
      expect((await ask(cluster[1]!, ['put', 'while', 'away'])).stdout).toBe('OK\n');
      await cluster[0]!.start(programs[0]!, cluster[0]!.flags(cluster));
      for (const member of cluster) {
        const { stdout } = await ask(member, ['get', '', '--prefix', '--print-value-only']);
        expect(stdout.split('\n').filter((line) => line !== '')).toEqual([
          'm1',
          'm2',
          'm3',
          'away',
        ]);
        expect(member.log).not.toMatch(/rejected connection on peer endpoint/);
      }
    });
  });
}

describeWith('three of ours', [ours], () => {
  test('a member of another authority is let in by nobody', async () => {
    const authority = new TestAuthority('authority');
    const cluster = await startCluster([need(ours), need(ours), need(ours)], authority);
    await cluster[2]!.stop();
    const elsewhere = new TestAuthority('elsewhere');
    cluster[2]!.certify(elsewhere).pem.put('ca.crt', `${authority.cert}${elsewhere.cert}`);
    cluster[2]!.launch(need(ours), cluster[2]!.flags(cluster));
    // It trusts the others, and they do not trust it: neither when it connects nor when they do.
    await cluster[0]!.line(/rejected connection on peer endpoint.*signed by unknown authority/);
    await cluster[0]!.line(/connect to .*signed by unknown authority/);
    const metrics = await httpsGet(cluster[0]!.ports.metrics, '/metrics', {
      ca: authority.cert,
      ...pairOf(authority.issue({ ...LOOPBACK })),
    });
    expect(metrics.body).toMatch(/^etcd_network_active_peers\{.*\} 0$/m);
  });

  test('change their authority one by one, and no write fails', async () => {
    const [before, after] = [new TestAuthority('before'), new TestAuthority('after')];
    const program = need(ours);
    const cluster = await startCluster([program, program, program], before);
    const both = `${before.cert}${after.cert}`;
    const [oldClient, newClient] = [before, after].map((authority) =>
      authority.issue({ commonName: 'client', ...LOOPBACK }),
    ) as [Issued, Issued];
    const load = new Load(clientOf(cluster, both, oldClient));
    closers.push(() => load.end());

    // Everybody trusts both, then shows the new one, then forgets the old one: files alone.
    for (const member of cluster) member.pem.put('ca.crt', both);
    for (const member of cluster) {
      member.pem.putPair('server', after.issue({ commonName: member.name, ...LOOPBACK }));
      await load.goesOn();
    }
    const fresh = new Load(clientOf(cluster, after.cert, newClient));
    closers.push(() => fresh.end());
    await fresh.goesOn();
    for (const member of cluster) member.pem.put('ca.crt', after.cert);
    await load.goesOn();
    expect(await load.end()).toEqual([]);

    // Who comes now is verified by the new files, members that come back as well.
    await expect(ask(cluster[0]!, { ca: both, ...pairOf(oldClient) })).rejects.toThrow();
    expect((await ask(cluster[0]!, { ca: after.cert, ...pairOf(newClient) })).status).toBe(200);
    for (const member of cluster) {
      await member.stop();
      await fresh.goesOn();
      await member.start(program, member.flags(cluster));
    }
    // The end of a leader may cost a write its time.
    const failures = await fresh.end();
    expect(failures.filter((text) => !/leader|timed out/.test(text))).toEqual([]);
    for (const member of cluster) {
      expect(member.log).not.toMatch(/rejected connection on peer endpoint/);
    }
  });
});

function pairOf({ cert, key }: Issued) {
  return { cert, key };
}

function ask(member: SecureMember, tls: object) {
  return httpsGet(member.ports.client, '/health', tls);
}

function clientOf(cluster: readonly SecureMember[], ca: string, client: Issued): Promise<Client> {
  const endpoints = cluster.map(({ clientUrl }) => clientUrl);
  return connect({ endpoints, tls: { ca, ...pairOf(client) } });
}

/** Writes, one after the other, until it is ended. */
class Load {
  #written = 0;
  #ending = false;
  readonly #failures: string[] = [];
  readonly #running: Promise<void>;

  constructor(client: Promise<Client>) {
    this.#running = this.#run(client);
  }

  /** Resolves when fifty more writes have succeeded. */
  async goesOn(): Promise<void> {
    const goal = this.#written + 50;
    await until('writes', () => (this.#written >= goal ? true : undefined));
  }

  /** What failed. */
  async end(): Promise<readonly string[]> {
    this.#ending = true;
    await this.#running;
    return this.#failures;
  }

  async #run(connecting: Promise<Client>): Promise<void> {
    const client = await connecting;
    while (!this.#ending) {
      try {
        await client.kv.put('load', String(this.#written));
        this.#written++;
      } catch (error) {
        this.#failures.push(String(error));
        if (this.#failures.length > 20) break;
      }
    }
    await client.close();
  }
}
