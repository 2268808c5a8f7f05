// Clusters whose members speak TLS to each other and to clients: of ours and of real etcd; and a change of
// authority, member by member, under load.

import { afterEach, expect, test } from 'vitest';
import { type Client, connect } from '../../src/client/index.ts';
import { type Issued, TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { until } from '../cluster/until.ts';
import { httpsGet } from '../helpers/https-get.ts';
import { type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { etcdctl, LOOPBACK, SecureMember, securePorts } from './secure-member.ts';

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
});

const older = realEtcd('3.5');
describeWith('two of ours and etcd 3.5 under writes', [ours, older], () => {
  test('change their authority, and no write fails', async () => {
    const [before, after] = [new TestAuthority('before'), new TestAuthority('after')];
    const program = need(ours);
    const cluster = await startCluster([program, program, realProgram(need(older))], before);
    const [leader, follower, real] = cluster as [SecureMember, SecureMember, SecureMember];
    const both = `${before.cert}${after.cert}`;
    const [oldClient, newClient] = [before, after].map((authority) =>
      authority.issue({ commonName: 'client', ...LOOPBACK }),
    ) as [Issued, Issued];
    // A proposal that is on its way to a leader when another takes over is lost in etcd: one that stays
    // is needed for writes none of which fails.
    await lead(leader, clientOf(cluster, before.cert, oldClient));
    const load = new Load(clientOf(cluster, both, oldClient));
    closers.push(() => load.end());
    await load.goesOn();

    // Everybody trusts both, then shows the new one, then forgets the old one: files alone for ours; real
    // etcd reads authorities at its start.
    for (const member of cluster) member.pem.put('ca.crt', both);
    await restart(real, realProgram(need(older)), cluster, load);
    for (const member of cluster) {
      member.pem.putPair('server', after.issue({ commonName: member.name, ...LOOPBACK }));
      await load.goesOn();
    }
    const fresh = new Load(clientOf(cluster, after.cert, newClient));
    closers.push(() => fresh.end());
    await fresh.goesOn();
    await load.goesOn();
    expect(await load.end()).toEqual([]);
    for (const member of cluster) member.pem.put('ca.crt', after.cert);
    await restart(real, realProgram(need(older)), cluster, fresh);

    // Who comes now is verified by the new files, members that come back as well.
    for (const member of cluster) {
      await expect(ask(member, { ca: both, ...pairOf(oldClient) })).rejects.toThrow();
      expect((await ask(member, { ca: after.cert, ...pairOf(newClient) })).status).toBe(200);
    }
    await restart(follower, program, cluster, fresh);
    expect(await fresh.end()).toEqual([]);
    for (const member of cluster) {
      expect(member.log).not.toMatch(/rejected connection on peer endpoint/);
    }
  });
});

/** Makes `member` lead; ends the client. */
async function lead(member: SecureMember, connecting: Promise<Client>): Promise<void> {
  const client = await connecting;
  try {
    const endpoint = member.clientUrl;
    await until(`leadership of ${member.name}`, async () => {
      const { header, leader } = await client.maintenance.status({ endpoint });
      const own = header!.memberId;
      if (leader === own) return true;
      for (const other of client.endpoints) {
        const status = await client.maintenance.status({ endpoint: other });
        if (status.header!.memberId !== leader) continue;
        await client.maintenance.moveLeader(own, { endpoint: other });
      }
      return undefined;
    });
  } finally {
    client.close();
  }
}

/** Stops it and starts it again, under a load that goes on without it and with it. */
async function restart(
  member: SecureMember,
  program: Program,
  cluster: readonly SecureMember[],
  load: Load,
): Promise<void> {
  // Real etcd whose clients are encrypted does not wait for their requests when it stops: they leave before.
  const leaves = program.command !== need(ours).command;
  if (leaves) await load.useOnly(cluster.filter((one) => one !== member));
  await member.stop();
  await load.goesOn();
  await member.start(program, member.flags(cluster));
  if (leaves) await load.useOnly(cluster);
  await load.goesOn();
}

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
  readonly #client: Promise<Client>;
  readonly #running: Promise<void>;

  constructor(client: Promise<Client>) {
    this.#client = client;
    this.#running = this.#run(client);
  }

  /** Resolves when fifty more writes have succeeded. */
  async goesOn(): Promise<void> {
    const goal = this.#written + 50;
    await until('writes', () => (this.#written >= goal ? true : undefined));
  }

  /** Resolves when no write is under way at another member than these. */
  async useOnly(members: readonly SecureMember[]): Promise<void> {
    (await this.#client).setEndpoints(members.map(({ clientUrl }) => clientUrl));
    await this.goesOn();
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
