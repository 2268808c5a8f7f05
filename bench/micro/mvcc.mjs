// Micro benchmark of `src/mvcc`, on the built code: the key index (restore, get, range, count, put,
// delete, compaction, memory per key), requests evaluated over rows in memory, and watch matching.
//
//   npm run build && node --expose-gc bench/micro/mvcc.mjs [keys, default 1000000]
//
// Prints one line per case: time per operation and a checksum of the results.

import {
  evaluatePut,
  evaluateRange,
  KeyIndex,
  KeyState,
  PutResult,
  RangeResult,
  RangeRun,
  TxnRun,
  WatchHub,
  WatchStream,
  WriteTxn,
} from '../../dist/mvcc/index.js';
import { etcdserverpb, PutInPlace } from '../../dist/protocol/index.js';

const keyTotal = Number(process.argv[2] ?? 1_000_000);
/** A number of operations, fewer for a small run. */
const scaled = (operations) => Math.max(10, Math.round((operations * keyTotal) / 1_000_000));
const state = new KeyState();

/** Deterministic integers below 2^32. */
function* randoms(seed) {
  let x = seed >>> 0 || 1;
  for (;;) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield x >>> 0;
  }
}
const next = (() => {
  const source = randoms(42);
  return () => source.next().value;
})();

function memory() {
  globalThis.gc?.();
  globalThis.gc?.();
  const usage = process.memoryUsage();
  return usage.heapUsed + usage.arrayBuffers;
}

function measure(name, operations, body) {
  const start = process.cpuUsage();
  const from = performance.now();
  const checksum = body();
  const wall = performance.now() - from;
  const cpu = process.cpuUsage(start);
  const micros = ((cpu.user + cpu.system) / operations).toFixed(3);
  console.log(
    `${name.padEnd(46)} ${micros.padStart(9)} us cpu/op ${wall.toFixed(0).padStart(7)} ms  (${checksum})`,
  );
}

/** Latin1 strings as the store makes them: flat, one byte per char. */
function makeKeys(order) {
  const keys = new Array(keyTotal);
  for (let i = 0; i < keyTotal; i++) {
    keys[i] = Buffer.from(
      `/registry/pods/namespace-${i % 50}/name-${String(i).padStart(9, '0')}`,
    ).latin1Slice();
  }
  if (order === 'random') {
    for (let i = keyTotal - 1; i > 0; i--) {
      const j = next() % (i + 1);
      [keys[i], keys[j]] = [keys[j], keys[i]];
    }
  }
  return keys;
}

for (const order of ['ascending', 'random']) {
  const keys = makeKeys(order);
  const before = memory();
  const index = new KeyIndex();
  measure(`restore, ${order} keys`, keyTotal, () => {
    for (let i = 0; i < keyTotal; i++) index.restoreRow(keys[i], i + 2, 0, false, i + 2, 1, 0);
    return index.liveCount;
  });
  const perKey = (memory() - before) / keyTotal;
  console.log(`  memory per key beside the string: ${perKey.toFixed(1)} bytes`);
  if (order === 'ascending') continue;

  const MANY = scaled(1_000_000);
  const UPDATES = scaled(200_000);
  const SOME = scaled(100_000);
  const FEW = scaled(10_000);
  let rev = keyTotal + 1;
  measure('get, random key', MANY, () => {
    let sum = 0;
    for (let i = 0; i < MANY; i++) {
      if (index.get(keys[next() % keyTotal], rev, state)) sum += state.version;
    }
    return sum;
  });
  measure('put, random existing key', UPDATES, () => {
    for (let i = 0; i < UPDATES; i++) index.put(keys[next() % keyTotal], ++rev, 0, 0, state);
    return index.revisionCount;
  });
  const cursor = index.cursor();
  const page = (atRev) => () => {
    let sum = 0;
    for (let i = 0; i < scaled(1000); i++) {
      cursor.open(keys[next() % keyTotal], '\0', atRev);
      for (let n = 0; n < 1000 && cursor.next(); n++) sum += cursor.state.version;
    }
    return sum;
  };
  measure('range, per key, pages of 1000', scaled(1000) * 1000, page(rev));
  measure('range at a revision 100000 changes back', scaled(1000) * 1000, page(rev - SOME));
  const count = (atRev, times) => () => {
    let sum = 0;
    for (let i = 0; i < times; i++) {
      sum += index.count(keys[next() % keyTotal], '\0', atRev);
    }
    return sum;
  };
  measure('count of a range, current revision', SOME, count(rev, SOME));
  measure('count, 100000 updates back', SOME, count(rev - SOME, SOME));
  measure('delete 100000 keys', SOME, () => {
    rev++;
    for (let i = 0; i < SOME; i++) index.tombstone(keys[i], rev + i, 0);
    rev += SOME;
    return index.liveCount;
  });
  measure('count, 100000 deletions back', FEW, count(rev - SOME, FEW));
  measure('compaction, whole', 1, () => {
    let dropped = 0;
    const compaction = index.startCompaction(rev);
    let longest = 0;
    for (let done = false; !done; ) {
      const from = performance.now();
      done = compaction.step(10_000, () => dropped++);
      longest = Math.max(longest, performance.now() - from);
    }
    return `${dropped} dropped, longest slice ${longest.toFixed(1)} ms`;
  });
  measure('put, 1000000 updates of one key', MANY, () => {
    for (let i = 0; i < MANY; i++) index.put('hot', ++rev, 0, 0, state);
    return index.revisionCount;
  });
  measure('get of it at random older revisions', SOME, () => {
    let sum = 0;
    for (let i = 0; i < SOME; i++) {
      if (index.get('hot', rev - (next() % MANY), state)) sum += state.version;
    }
    return sum;
  });
  console.log(`  check: ${index.check().length} violations`);
}

// --- Requests over rows in memory -----------------------------------------------------------------

class Rows {
  offsets = [];
  lengths = [];
  arena = new Uint8Array(1 << 24);
  used = 0;
  /** One row per revision here: the first has main 2. */
  readRow(main, _sub, into) {
    into.buffer = this.arena;
    into.offset = this.offsets[main - 2];
    into.length = this.lengths[main - 2];
  }
  appendRow(_main, _sub, _tombstone, length, into) {
    if (this.used + length > this.arena.length) this.used = 0;
    this.offsets.push(this.used);
    this.lengths.push(length);
    into.buffer = this.arena;
    into.offset = this.used;
    into.length = length;
    this.used += length;
  }
}

const noLeases = { slotOf: () => 0, attach() {}, detach() {} };
const text = (value) => Uint8Array.from(Buffer.from(value, 'latin1'));

function openStore() {
  const rows = new Rows();
  const index = new KeyIndex();
  const txn = new WriteTxn(index, rows, noLeases);
  const view = { currentRev: 1, compactedRev: -1, index, rows };
  const write = (body) => {
    txn.begin(view.currentRev, -1);
    body(txn);
    view.currentRev = txn.end();
  };
  return { view, txn, write };
}

{
  const { PutRequestCodec, RangeRequestCodec, TxnRequestCodec, RequestOpCodec } = etcdserverpb;
  const { view, write } = openStore();
  const total = Math.min(keyTotal, 100_000);
  const value = new Uint8Array(256).fill(120);
  const puts = [];
  for (let i = 0; i < total; i++) {
    const key = text(`/registry/pods/${String((i * 7919) % total).padStart(9, '0')}`);
    puts.push(new PutInPlace().accept(PutRequestCodec.create({ key, value })));
  }
  const result = new PutResult();
  const each = (request) => (txn) => evaluatePut(txn, request, result);
  for (let round = 0; round < 3; round++) {
    measure(`put request of 256 bytes, round ${round}`, total, () => {
      for (const request of puts) write(each(request));
      return view.currentRev;
    });
  }
  const run = new RangeRun();
  const range = new RangeResult();
  const gets = puts.map(({ key }) => RangeRequestCodec.create({ key }));
  measure('range request of one key', total, () => {
    let sum = 0;
    for (const request of gets) {
      evaluateRange(run, view, request, range);
      sum += range.lengths[0];
    }
    return sum;
  });
  const page = { rangeEnd: text('0'), limit: 1000 };
  const pages = puts
    .slice(0, scaled(1000))
    .map(({ key }) => RangeRequestCodec.create({ ...page, key }));
  measure('range request, per key, pages of 1000', pages.length * 1000, () => {
    let sum = 0;
    for (const request of pages) {
      evaluateRange(run, view, request, range);
      sum += range.size;
    }
    return sum;
  });
  const txnRun = new TxnRun();
  const txns = puts.map((put, i) =>
    TxnRequestCodec.create({
      compare: [
        {
          key: put.key,
          rangeEnd: new Uint8Array(0),
          target: 2,
          result: 0,
          targetUnion: { case: 'modRevision', value: 2 + 2 * total + i },
        },
      ],
      success: [RequestOpCodec.create({ request: { case: 'requestPut', value: put } })],
      failure: [],
    }),
  );
  measure('compare-and-put transaction', total, () => {
    let succeeded = 0;
    for (const request of txns) {
      write((txn) => {
        txnRun.start(txn, request, false);
        while (!txnRun.step(1000));
        if (txnRun.result.succeeded) succeeded++;
      });
    }
    return succeeded;
  });
}

// --- Watch ----------------------------------------------------------------------------------------

for (const [name, watchers, rangeOf] of [
  ['1000 watchers of one prefix', 1000, () => ['/registry/', '0']],
  ['1000 watchers of 1000 ranges around the key', 1000, (i) => [`/r${i}`, '0']],
  ['1 watcher of one key among 10000', 10_000, (i) => [`/registry/${i}`, '']],
]) {
  const { view, txn, write } = openStore();
  const hub = new WatchHub(1);
  let bytes = 0;
  const target = new Uint8Array(4096);
  const sink = {
    offer(_watchers, from, to, batch) {
      for (let i = from; i < to; i++) bytes += batch.write(target, 0);
      return to - from;
    },
    compacted() {},
  };
  for (let i = 0; i < watchers; i++) {
    const [key, rangeEnd] = rangeOf(i);
    const options = { key, rangeEnd, startRev: 0, noPut: false, noDelete: false };
    hub.watch(new WatchStream(sink), 0n, { ...options, withPrevious: false });
  }
  const value = new Uint8Array(100).fill(120);
  const events = scaled(2000);
  const told = watchers === 10_000 ? 1 : watchers;
  measure(`${name}, per event and watcher`, events * told, () => {
    for (let i = 0; i < events; i++) {
      write(() => txn.put('/registry/5', value, 0, value.length, 0n));
      hub.notify(view, view.currentRev, txn.changes);
    }
    return bytes;
  });
}

for (const keys of [1, 10]) {
  const { view, txn, write } = openStore();
  const value = new Uint8Array(100).fill(120);
  const revisions = 1000;
  for (let i = 0; i < revisions; i++) {
    write(() => txn.put(`/registry/${i % keys}`, value, 0, value.length, 0n));
  }
  const hub = new WatchHub(view.currentRev);
  const target = new Uint8Array(revisions * 200);
  let bytes = 0;
  const sink = {
    offer(_watchers, from, to, batch) {
      for (let i = from; i < to; i++) bytes += batch.write(target, 0);
      return to - from;
    },
    compacted() {},
  };
  const watchers = scaled(500);
  const stream = new WatchStream(sink);
  for (let i = 0; i < watchers; i++) {
    const key = `/registry/${i % keys}`;
    const options = { key, rangeEnd: '', noPut: false, noDelete: false };
    const startRev = view.currentRev - revisions + 1 + (i % revisions);
    hub.watch(stream, 0n, { ...options, startRev, withPrevious: false });
  }
  measure(`500 watchers of ${keys} keys behind, each from another revision`, watchers, () => {
    while (!hub.catchUp(view, undefined, 1000));
    return bytes;
  });
}
