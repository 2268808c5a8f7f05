// Settings that follow the store: read once, then kept up to date by a watch that begins where the
// reading ended, so that no change is missed and none seen twice.
//
//     node examples/config-watcher.mjs [endpoint]

import { createMemoryDisk, startMember } from 'tetcd';
import { connect } from 'tetcd/client';

const PREFIX = 'config/';

/**
 * The settings below the prefix; `changes` yields the name of each that changes.
 * @param {import('tetcd/client').Client} client
 */
async function watchSettings(client) {
  /** @type {Map<string, string>} */
  const settings = new Map();
  const all = client.kv.scan(PREFIX, { prefix: true });
  for await (const { keyText, valueText } of all) {
    settings.set(keyText.slice(PREFIX.length), valueText);
  }
  const startRevision = (all.revision ?? 0) + 1;
  const watch = client.watch(PREFIX, { prefix: true, startRevision });
  async function* changes() {
    for await (const { type, kv } of watch) {
      const name = kv.keyText.slice(PREFIX.length);
      if (type === 'put') settings.set(name, kv.valueText);
      else settings.delete(name);
      yield name;
    }
  }
  return { settings, changes: changes() };
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

await client.kv.put(`${PREFIX}colour`, 'green');
const { settings, changes } = await watchSettings(client);
console.log('at the start:', Object.fromEntries(settings));

// Another program would do this.
await client.kv.put(`${PREFIX}colour`, 'blue');
await client.kv.put(`${PREFIX}size`, 'large');
await client.kv.delete(`${PREFIX}colour`);

let seen = 0;
for await (const name of changes) {
  console.log(`${name} is now ${settings.get(name) ?? 'gone'}`);
  if (++seen === 3) break;
}
client.close();
await member?.close();
