// Random requests about users and of users get the answers of real etcd. AUTH_SEED repeats a run.

import { afterEach, expect, test } from 'vitest';
import { ApiClient } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { type Ask, RandomRequests } from './random-requests.ts';

const SEED = Number(process.env['AUTH_SEED'] ?? 1);
const STEPS = 700;

const members: Member[] = [];
const clients: ApiClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const member of members.splice(0)) await member.dispose();
});

/** One server, and the tokens that it gave: they differ from server to server. */
class Side {
  readonly #api: ApiClient;
  readonly #tokens: string[] = [];

  static async start(program: Program): Promise<Side> {
    const member = await Member.start(program, { flags: ['--bcrypt-cost=4'] });
    members.push(member);
    return new Side(new ApiClient(member.endpoint));
  }

  constructor(api: ApiClient) {
    this.#api = api;
    clients.push(api);
  }

  /** The outcome, without what differs from server to server. */
  async answer({ rpc, request, tokenIndex }: Ask): Promise<string> {
    const token = tokenIndex === undefined ? undefined : (this.#tokens[tokenIndex] ?? 'none');
    const { code, details, message } = await this.#api.call(rpc, request, { token });
    if (message === undefined) return `${code} ${details}`;
    if (rpc === 'Auth/Authenticate') {
      this.#tokens.push(message['token'] as string);
      return 'a token';
    }
    const header = message['header'] as { readonly revision: string } | null;
    return JSON.stringify({ ...message, header: header?.revision });
  }
}

const ours = serverUnderTest();

for (const release of ['3.7', '3.5', '3.4'] as const) {
  const real = realEtcd(release);
  describeWith(`beside etcd ${release}`, [ours, real], () => {
    test('users are answered alike', { timeout: 180_000 }, async () => {
      const programs = [need(ours), realProgram(need(real))];
      const [mine, theirs] = (await Promise.all(programs.map(Side.start))) as [Side, Side];
      const requests = new RandomRequests(SEED, release);
      const outcomes = new Map<string, number>();
      for (let step = 0; step < STEPS; step++) {
        const ask = requests.next();
        const [own, expected] = await Promise.all([mine.answer(ask), theirs.answer(ask)]);
        const what = `AUTH_SEED=${SEED}, step ${step}: ${JSON.stringify(ask)}`;
        expect(own, `${what}\n${requests.past()}`).toBe(expected);
        requests.note(ask, expected);
        const kind = /^\d+ /.test(expected) ? expected : 'done';
        outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      }
      // The run has met what there is to meet.
      expect(outcomes.get('done')).toBeGreaterThan(STEPS / 4);
      expect(outcomes.get('7 etcdserver: permission denied')).toBeGreaterThan(STEPS / 50);
      expect(outcomes.size).toBeGreaterThan(10);
    });
  });
}
