// What load balancers, Kubernetes and people ask a member over HTTP, beside real etcd: the answers are
// the same, byte by byte, whole and with alarms, without a leader, and of a learner.

import { Client, credentials } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { Cluster } from './cluster/cluster.ts';
import { pause, until } from './cluster/until.ts';
import { ApiClient } from './helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from './helpers/member.ts';
import { describeWith, need, realEtcd } from './helpers/real-etcd.ts';

const members: Member[] = [];
const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
  for (const member of members.splice(0)) await member.dispose();
});

const CHECKS = ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner'];

const PATHS = [
  ...['/health', '/health?serializable=true', '/health?exclude=NOSPACE', '/health?exclude=nosuch'],
  ...['/health?exclude=NOSPACE&exclude=CORRUPT', '/health?serializable=1', '/health/', '/healthz'],
  ...['/livez', '/livez?verbose', '/livez?verbose=false', '/livez/', '/livez?exclude=nosuch'],
  ...['/livez?exclude=serializable_read', '/livez?exclude=serializable_read&verbose'],
  ...['/livez/serializable_read', '/livez/serializable_read?verbose', '/livez/linearizable_read'],
  ...['/livez/serializable_read?exclude=serializable_read&verbose', '/livez/serializable_read/x'],
  ...['/readyz', '/readyz?verbose', '/readyz/', '/readyz?exclude=', '/readyz/nosuch'],
  ...CHECKS.map((check) => `/readyz/${check}`),
  ...CHECKS.map((check) => `/readyz/${check}?verbose`),
  ...CHECKS.map((check) => `/readyz?verbose&exclude=${check}`),
  `/readyz?${CHECKS.map((check) => `exclude=${check}`).join('&')}`,
  '/readyz?verbose&exclude=data_corruption&exclude=non_learner&exclude=nosuch',
  ...['/debug/vars/', '/debug', '/debug/'],
];
/** How they answer other methods. */
const METHODS = ['POST', 'PUT', 'DELETE', 'HEAD'];
const PAGES = ['/health', '/livez', '/readyz', '/readyz/non_learner', '/version', '/debug/vars'];

/** Lines of a verbose answer come in any order, in etcd. */
function inOrder(body: string): string {
  return body.split('\n').sort().join('\n');
}

async function answerOf(endpoint: string, path: string, method = 'GET'): Promise<string> {
  const response = await fetch(`http://${endpoint}${path}`, { method, redirect: 'manual' });
  const headers = ['content-type', 'x-content-type-options', 'allow', 'location', 'content-length']
    .map((name) => `${name}=${response.headers.get(name)}`)
    .join(' ');
  return `${method} ${path}: ${response.status} ${headers}\n${inOrder(await response.text())}`;
}

async function answersOf(endpoint: string, paths: readonly string[] = PATHS): Promise<string[]> {
  const answers: string[] = [];
  for (const path of paths) answers.push(await answerOf(endpoint, path));
  return answers;
}

async function start(program: Program, flags: readonly string[] = []): Promise<Member> {
  const member = await Member.start(program, { flags });
  members.push(member);
  return member;
}

const ours = serverUnderTest();
const real = realEtcd('3.7');

describeWith('probes are answered as by real etcd', [ours, real], () => {
  test('by a member that is well, and with alarms', async () => {
    const seen = await Promise.all(
      [need(ours), realProgram(need(real))].map(async (program) => {
        const member = await start(program);
        const client = new ApiClient(member.endpoint);
        const answers = await answersOf(member.endpoint);
        for (const method of METHODS) {
          for (const page of PAGES) answers.push(await answerOf(member.endpoint, page, method));
        }
        for (const alarm of [1, 2]) {
          await client.must('Maintenance/Alarm', { action: 1, memberID: '1', alarm });
          answers.push(`alarm ${alarm}`, ...(await answersOf(member.endpoint)));
          await client.must('Maintenance/Alarm', { action: 2, memberID: '1', alarm });
        }
        client.close();
        return answers;
      }),
    );
    expect(seen[0]).toEqual(seen[1]);
  });

  test('by a learner', async () => {
    const seen = await Promise.all(
      [need(ours), realProgram(need(real))].map(async (program) => {
        const cluster = await Cluster.start({ servers: [{ program }] });
        clusters.push(cluster);
        const learner = await cluster.add({ program }, { learner: true });
        await cluster.caughtUp();
        return answersOf(learner.endpoint);
      }),
    );
    expect(seen[0]).toEqual(seen[1]);
  });

  test('without a leader', async () => {
    const paths = ['/health', '/health?serializable=true', '/livez?verbose', '/readyz'];
    const seen = await Promise.all(
      [need(ours), realProgram(need(real))].map(async (program) => {
        const flags = ['--heartbeat-interval=50', '--election-timeout=500'];
        const cluster = await Cluster.start({ servers: [{ program }, { program }], flags });
        clusters.push(cluster);
        const [left, other] = [await cluster.follower(), await cluster.leader()];
        await other.kill();
        await until('no leader', async () => {
          if ((await answerOf(left.endpoint, '/health')).includes('NO LEADER')) return true;
          await pause(50);
          return undefined;
        });
        return answersOf(left.endpoint, paths);
      }),
    );
    expect(seen[0]).toEqual(seen[1]);
  });
});

/** The health service, whose messages have one field: the name of a service, and a status. */
class HealthClient {
  readonly #client: Client;

  constructor(endpoint: string) {
    this.#client = new Client(endpoint, credentials.createInsecure());
  }

  ask(method: 'Check' | 'List', service = ''): Promise<string> {
    const path = `/grpc.health.v1.Health/${method}`;
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(path, asIs, asIs, nameOf(service), (error, answer) => {
        const text = error === null ? answer!.toString('hex') : `${error.code} ${error.details}`;
        resolve(`${method} ${service}: ${text}`);
      });
    });
  }

  /** What a watcher is told first, and then in the course of `during`, in all so many messages. */
  watch(service: string, count: number, during: () => Promise<unknown>): Promise<string[]> {
    const path = '/grpc.health.v1.Health/Watch';
    const stream = this.#client.makeServerStreamRequest(path, asIs, asIs, nameOf(service));
    const told: string[] = [];
    return new Promise((resolve, reject) => {
      stream.on('error', reject);
      stream.on('data', (message: Buffer) => {
        told.push(message.toString('hex'));
        if (told.length === 1) during().catch(reject);
        if (told.length < count) return;
        stream.removeAllListeners('error').on('error', () => {});
        stream.cancel();
        resolve(told);
      });
    });
  }

  close(): void {
    this.#client.close();
  }
}

const asIs = (bytes: Buffer): Buffer => bytes;

function nameOf(service: string): Buffer {
  return service === ''
    ? Buffer.alloc(0)
    : Buffer.from(`\n${String.fromCharCode(service.length)}${service}`);
}

describeWith('the health service', [ours, real], () => {
  test('says the same as that of real etcd, also during a defragmentation', async () => {
    const seen = await Promise.all(
      [need(ours), realProgram(need(real))].map(async (program) => {
        const member = await start(program, ['--feature-gates=StopGRPCServiceOnDefrag=true']);
        const health = new HealthClient(member.endpoint);
        const client = new ApiClient(member.endpoint);
        const answers: unknown[] = [await health.ask('List')];
        for (const service of ['', 'etcdserverpb.KV', 'grpc.health.v1.Health', 'nosuch']) {
          answers.push(await health.ask('Check', service));
          if (service !== '') answers.push(await health.watch(service, 1, async () => {}));
        }
        const defragment = () => client.must('Maintenance/Defragment', {});
        answers.push(await health.watch('', 3, defragment));
        health.close();
        client.close();
        return answers;
      }),
    );
    expect(seen[0]).toEqual(seen[1]);
  });
});

describeWith('the debug variables', [ours, real], () => {
  test('are those of real etcd, in its form', async () => {
    const seen = await Promise.all(
      [need(ours), realProgram(need(real))].map(async (program) => {
        const member = await start(program);
        const response = await fetch(`http://${member.endpoint}/debug/vars`);
        expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
        const text = await response.text();
        return { text, member, variables: JSON.parse(text) as Record<string, unknown> };
      }),
    );
    const [mine, theirs] = seen as [(typeof seen)[0], (typeof seen)[0]];
    const form =
      /^\{\n"cmdline": \[.*\],\n"file_descriptor_limit": \d+,\n"memstats": \{.*\},\n"raft\.status": \{.*\}\n\}\n$/;
    expect(mine.text).toMatch(form);
    expect(theirs.text).toMatch(form);
    const of = ({ variables }: typeof mine, name: string) => Object.keys(variables[name] as object);
    expect(of(mine, 'raft.status')).toEqual(of(theirs, 'raft.status'));
    expect(mine.variables['file_descriptor_limit']).toBe(theirs.variables['file_descriptor_limit']);
    expect(of(theirs, 'memstats')).toEqual(expect.arrayContaining(of(mine, 'memstats')));
    expect(mine.variables['cmdline']).toContain(`--data-dir=${mine.member.directory}`);
    const status = mine.variables['raft.status'] as Record<string, unknown>;
    expect(status).toMatchObject({
      raftState: 'StateLeader',
      lead: status['id'],
      leadtransferee: '0',
    });
    expect(Object.keys(status['progress'] as object)).toEqual([status['id']]);
  });
});
