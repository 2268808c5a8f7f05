// Instances of a service register under a lease that they keep alive. One that ends, or hangs, is
// gone when its lease is; whoever looks for the service sees both.
//
//     node examples/service-registry.mjs [endpoint]

import { createMemoryDisk, startMember } from 'tetcd';
import { connect } from 'tetcd/client';

const TTL_SECONDS = 5;

/**
 * @param {import('tetcd/client').Client} client
 * @param {string} service
 * @param {string} instance
 * @param {string} address
 */
async function register(client, service, instance, address) {
  const { id } = await client.lease.grant(TTL_SECONDS);
  const keeper = client.lease.keepAlive(id);
  void keeper.lost.then((reason) => {
    if (reason !== undefined) console.error(`${instance} is registered no more:`, reason);
  });
  await client.kv.put(`services/${service}/${instance}`, address, { lease: id });
  return {
    async unregister() {
      keeper.close();
      await client.lease.revoke(id); // its key goes with it
    },
  };
}

const [endpoint] = process.argv.slice(2);
const member =
  endpoint === undefined
    ? await startMember({
        env: { disk: createMemoryDisk() },
        listenClientUrls: ['http://127.0.0.1:0'],
        listenPeerUrls: ['http://127.0.0.1:0'],
      })
    : undefined;
const client = await connect({ endpoints: member?.clientUrls ?? [endpoint ?? ''] });

const watch = client.watch('services/mail/', { prefix: true });
await watch.created;
const first = await register(client, 'mail', 'a', '10.0.0.1:25');
const second = await register(client, 'mail', 'b', '10.0.0.2:25');
const { kvs } = await client.kv.get('services/mail/', { prefix: true });
console.log('registered:', kvs.map(({ valueText }) => valueText).join(', '));
await first.unregister();

let seen = 0;
for await (const { type, kv } of watch) {
  console.log(type === 'put' ? `up: ${kv.keyText} at ${kv.valueText}` : `down: ${kv.keyText}`);
  if (++seen === 3) break;
}
await second.unregister();
client.close();
await member?.close();
