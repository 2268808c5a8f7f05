import { expect, test } from 'vitest';
import { etcdserverpb } from '../../protocol/index.ts';
import { ClientWorld } from '../sim-etcd.fixture.ts';

const RANGE = etcdserverpb.KVService.methods.range.path;
test('an endpoint that comes back is used again though another is ready', async () => {
  const world = new ClientWorld(1, 3);
  await world.run(async () => {
    const client = world.client();
    for (let i = 0; i < 9; i++) await client.kv.get('a');
    await world.etcds[0]!.stop();
    await world.sleep(100);
    await world.etcds[0]!.listen();
    await world.sleep(20_000);
    const before = world.etcds[0]!.counts.get(RANGE) ?? 0;
    for (let i = 0; i < 30; i++) await client.kv.get('a');
    expect((world.etcds[0]!.counts.get(RANGE) ?? 0) - before).toBe(10);
    client.close();
  });
});
