// A member inside this program: no server to install, nothing left behind but the data directory.
//
//     node examples/embedded-member.mjs [data directory]

import { createMemoryDisk, startMember } from 'tetcd';
import { connect } from 'tetcd/client';

const dataDir = process.argv[2];
const options = {
  name: 'embedded',
  // With a directory the data outlive the program; a disk in memory ends with it.
  ...(dataDir === undefined ? { env: { disk: createMemoryDisk() } } : { dataDir }),
  listenClientUrls: ['http://127.0.0.1:0'],
  listenPeerUrls: ['http://127.0.0.1:0'],
};

for (const run of ['first', 'second']) {
  const member = await startMember(options);
  const client = await connect({ endpoints: member.clientUrls });
  const { kv: before } = await client.kv.get('last-run');
  console.log(`${run} run, before it: ${before?.valueText ?? 'none'}`);
  await client.kv.put('last-run', run);
  client.close();
  await member.close();
  const { reason } = await member.closed;
  console.log(`${run} run ended: ${reason}`);
}
