// Ranges over the store, without transport and log: evaluation, and encoding of the answer.
//
//   npm run build && node bench/micro/store.mjs [keys] [ordered|random]
//
// Seeded; prints microseconds of CPU per range and a checksum of what was encoded. `random` puts the
// keys in random order, so that neighbours in a range lie far apart in the file.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c, Slices, seededRandom } from '../../dist/base/index.js';
import { RangeResult, RangeRun, WriteTxn } from '../../dist/mvcc/index.js';
import { createNodeEnv } from '../../dist/net/index.js';
import { etcdserverpb } from '../../dist/protocol/index.js';
import { ResponseHeaders } from '../../dist/server/services/response-header.js';
import { kvEncoders } from '../../dist/server/services/responses.js';
import { Backend, KvStore, Restore } from '../../dist/store/index.js';

const KEYS = Number(process.argv[2] ?? 100_000);
const ORDER = process.argv[3] ?? 'random';
const WIDE = Math.min(1000, KEYS);
const ROUNDS = 3;

const random = seededRandom(1);
const directory = mkdtempSync(join(tmpdir(), 'tetcd-store-'));
const env = createNodeEnv();
const restore = new Restore(2);
const fail = (error) => {
  throw error;
};
const backend = await Backend.open(
  env,
  join(directory, 'db'),
  { onFailure: fail },
  restore.rows,
  (snapshot) => restore.inspect(snapshot),
);
await restore.rows.finish(new Slices(env));
const kv = new KvStore(env, backend, restore.rows, restore.marks);
const txn = new WriteTxn(kv.index, kv.rows, restore.lessor);

const keyOf = (i) => `key/${String(i).padStart(8, '0')}`;
const order = Array.from({ length: KEYS }, (_, i) => i);
if (ORDER === 'random') {
  for (let i = KEYS - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
}
const value = new Uint8Array(256).fill(65);
for (const [at, i] of order.entries()) {
  backend.beginEntry();
  txn.begin(kv.currentRev, kv.compactedRev);
  txn.put(keyOf(i), value, 0, value.length, 0n);
  kv.currentRev = txn.end();
  backend.endEntry(at + 1, 1);
  if (at % 5000 === 0) await backend.commit();
}
await backend.commit();

const encoder = kvEncoders(new ResponseHeaders(1n, 2n, { term: 1 })).range;
const run = new RangeRun();
const result = new RangeResult();
const target = new Uint8Array(1 << 20);
let checksum = 0;

function range(start, count, encode) {
  const request = etcdserverpb.RangeRequestCodec.create({
    key: Buffer.from(keyOf(start)),
    rangeEnd: Buffer.from(keyOf(start + count)),
  });
  run.start(kv, request, result);
  while (!run.step(1_000_000));
  if (encode) checksum = crc32c(checksum, target, 0, encoder.write(result, target, 0));
  result.reset();
}

function measure(label, ranges, width, encode) {
  const before = process.cpuUsage();
  for (let i = 0; i < ranges; i++) range(random.below(KEYS - width + 1), width, encode);
  const cpu = process.cpuUsage(before);
  console.log(`${label}: ${((cpu.user + cpu.system) / ranges).toFixed(2)} us`);
}

for (let round = 1; round <= ROUNDS; round++) {
  console.log(`round ${round}, ${KEYS} keys in ${ORDER} order`);
  measure('  one key, evaluated', 20_000, 1, false);
  measure(`  ${WIDE} keys, evaluated`, 300, WIDE, false);
  measure(`  ${WIDE} keys, evaluated and encoded`, 300, WIDE, true);
}
console.log(`checksum ${checksum.toString(16)}`);
await backend.close();
rmSync(directory, { recursive: true });
