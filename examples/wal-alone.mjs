// etcd's write-ahead log: entries and hard states of raft, on the disk when an append completes.
//
//     node examples/wal-alone.mjs

import { createMemoryDisk, createNodeEnv } from 'tetcd/env';
import { createWal, openWal } from 'tetcd/wal';

const env = { ...createNodeEnv(), disk: createMemoryDisk() };
const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);

/**
 * Resolves when the append is durable. A hot path would pool these records instead.
 * @param {import('tetcd/wal').Wal} wal
 * @param {Pick<import('tetcd/wal').WalAppend, 'hardState' | 'entries'>} content
 */
function append(wal, content) {
  return new Promise((resolve, reject) => {
    wal.append({
      ...content,
      mustSync: true,
      complete: (error) => (error === undefined ? resolve(undefined) : reject(error)),
    });
  });
}

const wal = await createWal(env, '/log', encode('about this log'));
const entry = (/** @type {number} */ index, /** @type {string} */ text) => {
  return { type: 0, term: 1, index, data: encode(text) };
};
await append(wal, { hardState: undefined, entries: [entry(1, 'one'), entry(2, 'two')] });
await append(wal, { hardState: { term: 1, vote: 7n, commit: 2 }, entries: [entry(3, 'three')] });
await wal.close();

const { wal: again, ...content } = await openWal(env, '/log', { index: 0, term: 0 });
console.log('metadata:', new TextDecoder().decode(content.metadata));
console.log('committed:', content.hardState.commit);
for (const { index, data } of content.entries) {
  console.log(`${index}: ${new TextDecoder().decode(data)}`);
}
await again.close();
