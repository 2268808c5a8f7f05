// Every method of every service in the schemas is served.

import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import type { ServiceDescriptor } from '../../protocol/index.ts';
import * as protocol from '../../protocol/index.ts';
import { SimMember } from '../testing/sim-member.fixture.ts';

const isService = (value: unknown): value is ServiceDescriptor =>
  typeof value === 'object' && value !== null && 'methods' in value;

const services = Object.values(protocol)
  .filter((one) => typeof one === 'object' && one !== null)
  .flatMap((namespace) => Object.values(namespace).filter(isService));

test('every service of etcd is in the schemas', () => {
  expect(services.map(({ name }) => name).sort()).toEqual([
    'etcdserverpb.Auth',
    'etcdserverpb.Cluster',
    'etcdserverpb.KV',
    'etcdserverpb.Lease',
    'etcdserverpb.Maintenance',
    'etcdserverpb.Watch',
    'grpc.health.v1.Health',
    'v3electionpb.Election',
    'v3lockpb.Lock',
  ]);
});

test('every method is served', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const served = [...member.services.entries()].map(({ descriptor }) => descriptor.path);
    const wanted = services.flatMap(({ methods }) =>
      Object.values(methods).map(({ path }) => path),
    );
    expect(served.sort()).toEqual(wanted.sort());
    await member.stop();
  });
});
