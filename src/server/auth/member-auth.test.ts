// Authentication of a whole member, in a simulated world.

import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import type { Metadata } from '../../grpc/index.ts';
import type { CertificateSubject } from '../../net/index.ts';
import { etcdserverpb, type MethodDescriptor } from '../../protocol/index.ts';
import { SimMember, simConfig } from '../testing/sim-member.fixture.ts';

const { AuthService, KVService, LeaseService } = etcdserverpb;
const auth = AuthService.methods;
const kv = KVService.methods;

interface Caller {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly commonName?: string;
}

class AuthMember {
  readonly sim: SimMember;
  readonly env: SimEnv;

  constructor(sim: SimMember, env: SimEnv) {
    this.sim = sim;
    this.env = env;
  }

  call<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    { metadata = {}, commonName }: Caller = {},
  ): Promise<Response> {
    const certificate = { commonName } as CertificateSubject;
    const peer = {
      address: '10.0.0.1:7',
      encrypted: commonName !== undefined,
      certificate: commonName === undefined ? undefined : certificate,
    };
    return this.sim.member.parts.localCalls
      .unary(method.path, method.request.encode(method.request.create(request)), {
        ...{ peer, deadlineMs: Number.POSITIVE_INFINITY, caller: undefined },
        metadata: { get: (name: string) => metadata[name] } as unknown as Metadata,
      })
      .then((bytes) => method.response.decode(bytes));
  }

  async enable(): Promise<void> {
    for (const name of ['root', 'uma']) await this.call(auth.userAdd, { name, password: name });
    await this.call(auth.userGrantRole, { user: 'root', role: 'root' });
    await this.call(auth.authEnable, {});
  }

  async tokenOf(name: string): Promise<string> {
    return (await this.call(auth.authenticate, { name, password: name })).token;
  }

  /** OK, or why not. */
  async read(caller: Caller): Promise<string> {
    return this.call(kv.range, { key: bytesFromLatin1('k'), serializable: true }, caller).then(
      () => 'OK',
      (error: { readonly details: string }) => error.details.replace('etcdserver: ', ''),
    );
  }
}

async function withMember(
  body: (member: AuthMember) => Promise<void>,
  clientCertAuth = false,
): Promise<void> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const config = simConfig();
    const clientTls = { ...config.clientTls, clientCertAuth };
    const sim = await SimMember.start(env, { ...config, clientTls });
    const member = new AuthMember(sim, env);
    await member.enable();
    await body(member);
    await sim.stop();
  });
}

describe('who calls', () => {
  test('42a131c70: is told by a token, under two names, with and without Bearer', async () => {
    await withMember(async (member) => {
      const token = await member.tokenOf('root');
      const read = (metadata: Record<string, string>) => member.read({ metadata });
      expect(await read({ token })).toBe('OK');
      expect(await read({ authorization: token })).toBe('OK');
      expect(await read({ authorization: `Bearer ${token}` })).toBe('OK');
      // The first name counts, also where it is empty.
      expect(await read({ token: '', authorization: token })).toBe('invalid auth token');
      expect(await read({ authorization: `bearer ${token}` })).toBe('invalid auth token');
      expect(await read({})).toBe('user name is empty');
      expect(await read({ token: await member.tokenOf('uma') })).toBe('permission denied');
    });
  });

  test('a token with an index far ahead is refused at once', async () => {
    await withMember(async (member) => {
      const sinceMs = member.env.clock.monotonicMs();
      for (const index of ['99999', '9007199254740991', '18446744073709551615']) {
        const token = `abcdefghijklmnop.${index}`;
        expect(await member.read({ metadata: { token } })).toBe('invalid auth token');
      }
      expect(member.env.clock.monotonicMs() - sinceMs).toBeLessThan(1_000);
    });
  });

  test('CVE-2018-16886: is told by a certificate, but not through a gateway', async () => {
    const root: Caller = { commonName: 'root' };
    await withMember(async (member) => {
      expect(await member.read(root)).toBe('OK');
      expect(await member.read({ commonName: 'uma' })).toBe('permission denied');
      expect(await member.read({ commonName: 'stranger' })).toBe('permission denied');
      const metadata = { 'grpcgateway-accept': '*/*' };
      expect(await member.read({ ...root, metadata })).toBe('user name is empty');
      // A token comes first, good or not.
      const token = await member.tokenOf('uma');
      expect(await member.read({ ...root, metadata: { token } })).toBe('permission denied');
      expect(await member.read({ ...root, metadata: { token: 'x' } })).toBe('invalid auth token');
    }, true);
    await withMember(async (member) => {
      expect(await member.read(root)).toBe('user name is empty');
    });
  });
});

test('what a member does of itself it does as root: a lease with keys expires', async () => {
  await withMember(async (member) => {
    const metadata = { token: await member.tokenOf('root') };
    const { leaseGrant } = LeaseService.methods;
    const { id: lease } = await member.call(leaseGrant, { ttl: 1 }, { metadata });
    const key = bytesFromLatin1('k');
    await member.call(kv.put, { key, lease }, { metadata });
    expect(member.sim.pairs()).toHaveLength(1);
    await new Promise<void>((resolve) => member.env.timers.after(10_000, resolve));
    expect(member.sim.pairs()).toEqual([]);
  });
});

test('after a restart the same users may do the same', async () => {
  const env = createSimEnv({ seed: 2, autoRun: false });
  await env.run(async () => {
    const first = new AuthMember(await SimMember.start(env), env);
    await first.enable();
    const token = await first.tokenOf('root');
    await first.sim.stop();
    const again = new AuthMember(await SimMember.start(env), env);
    expect(await again.read({})).toBe('user name is empty');
    expect(await again.read({ metadata: { token } })).toBe('invalid auth token');
    expect(await again.read({ metadata: { token: await again.tokenOf('root') } })).toBe('OK');
    await again.sim.stop();
  });
});
