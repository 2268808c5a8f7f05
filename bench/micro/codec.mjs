// The codec's share of a request. Run after `npm run build`: node bench/micro/codec.mjs [seed]
//
// Budget: decoding a Put request and encoding its response take at most 1 us together. One case per
// line: median ns of 15 rounds, and a checksum that must not change for a seed.

import { seededRandom } from '../../dist/base/index.js';
import { etcdserverpb, mvccpb, raftpb } from '../../dist/protocol/index.js';

const SEED = Number(process.argv[2] ?? 1);
const ROUNDS = 15;
const REQUESTS = 512;
const random = seededRandom(SEED);

function randomBytes(length) {
  return Uint8Array.from({ length }, () => random.below(256));
}

/** `run(i)` returns a number that depends on its result. */
function measure(name, count, run) {
  const times = [];
  let checksum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const from = process.hrtime.bigint();
    for (let i = 0; i < count; i++) checksum = (checksum * 31 + run(i)) | 0;
    times.push(Number(process.hrtime.bigint() - from) / count);
  }
  times.sort((a, b) => a - b);
  const median = times[ROUNDS >> 1];
  console.log(`${name.padEnd(52)} ${median.toFixed(0).padStart(8)} ns   ${checksum >>> 0}`);
  return median;
}

const { PutRequestCodec, PutResponseCodec, ResponseHeaderCodec, RangeRequestCodec } = etcdserverpb;
const { RangeResponseCodec, InternalRaftRequestCodec, TxnRequestCodec, WatchResponseCodec } =
  etcdserverpb;

const puts = Array.from({ length: REQUESTS }, () =>
  PutRequestCodec.encode(
    PutRequestCodec.create({
      key: randomBytes(8 + random.below(32)),
      value: randomBytes(256),
      lease: random.below(4) === 0 ? BigInt(random.below(2 ** 31)) * 7_000_000_001n : 0n,
    }),
  ),
);
// As they come off a socket: slices of one buffer.
const inbox = Buffer.concat(puts);
const offsets = [0];
for (const put of puts) offsets.push(offsets.at(-1) + put.length);
const outbox = new Uint8Array(4096);
const clusterId = 14841639068965178418n;
const memberId = 10276657743932975437n;
let revision = 1;

function putResponse() {
  const header = ResponseHeaderCodec.create({
    clusterId,
    memberId,
    revision: ++revision,
    raftTerm: 3,
  });
  return PutResponseCodec.create({ header });
}

const decodePut = (i) => {
  const at = i % REQUESTS;
  const put = PutRequestCodec.decode(inbox, offsets[at], offsets[at + 1]);
  return put.key.length + put.value.length + (put.lease === 0n ? 0 : 1);
};
const encodePut = () => {
  const response = putResponse();
  const size = PutResponseCodec.size(response);
  return PutResponseCodec.write(response, outbox, 5) + size + outbox[5 + size - 1];
};

console.log(`seed ${SEED}`);
measure('decode PutRequest (256 B value)', 200_000, decodePut);
measure('encode PutResponse', 200_000, encodePut);
const both = measure(
  'decode PutRequest + encode PutResponse',
  200_000,
  (i) => decodePut(i) + encodePut(),
);

const ranges = puts.map((_, i) =>
  RangeRequestCodec.encode(
    RangeRequestCodec.create({ key: randomBytes(16), limit: i, serializable: i % 2 === 0 }),
  ),
);
measure(
  'decode RangeRequest',
  200_000,
  (i) => RangeRequestCodec.decode(ranges[i % REQUESTS]).limit,
);

const entries = puts.map((put, i) =>
  raftpb.EntryCodec.encode(
    raftpb.EntryCodec.create({
      term: 3,
      index: 1_000_000 + i,
      data: InternalRaftRequestCodec.encode(
        InternalRaftRequestCodec.create({
          header: etcdserverpb.RequestHeaderCodec.create({ id: 7587862094918400000n + BigInt(i) }),
          put: PutRequestCodec.decode(put),
        }),
      ),
    }),
  ),
);
measure('decode Entry and its InternalRaftRequest', 100_000, (i) => {
  const entry = raftpb.EntryCodec.decode(entries[i % REQUESTS]);
  return InternalRaftRequestCodec.decode(entry.data).put.key.length;
});

const kvs = Array.from({ length: 1000 }, (_, i) =>
  mvccpb.KeyValueCodec.create({
    key: randomBytes(16),
    createRevision: i + 2,
    modRevision: i + 2,
    version: 1,
    value: randomBytes(256),
  }),
);
const page = RangeResponseCodec.create({ header: putResponse().header, kvs, count: kvs.length });
const pageBytes = RangeResponseCodec.encode(page);
measure('encode RangeResponse of 1,000 keys', 300, () => RangeResponseCodec.encode(page).length);
measure(
  'decode RangeResponse of 1,000 keys',
  300,
  () => RangeResponseCodec.decode(pageBytes).kvs.length,
);

const txn = TxnRequestCodec.encode(
  TxnRequestCodec.create({
    compare: [
      etcdserverpb.CompareCodec.create({
        key: randomBytes(40),
        target: 2,
        targetUnion: { case: 'modRevision', value: 12345 },
      }),
    ],
    success: [
      etcdserverpb.RequestOpCodec.create({
        request: { case: 'requestPut', value: PutRequestCodec.decode(puts[0]) },
      }),
    ],
    failure: [
      etcdserverpb.RequestOpCodec.create({
        request: { case: 'requestRange', value: RangeRequestCodec.decode(ranges[0]) },
      }),
    ],
  }),
);
measure(
  'decode TxnRequest (compare, put, range)',
  100_000,
  () => TxnRequestCodec.decode(txn).success.length,
);

const watch = WatchResponseCodec.create({
  header: putResponse().header,
  watchId: 5n,
  events: [mvccpb.EventCodec.create({ kv: kvs[0] })],
});
measure(
  'encode WatchResponse of one event',
  100_000,
  () => WatchResponseCodec.encode(watch).length,
);

if (both > 1000) {
  console.log('over the budget of 1 us');
  process.exitCode = 1;
}
