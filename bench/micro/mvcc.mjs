// Micro benchmark of the key index, on the built code: restore, get, range, count, put, delete and
// compaction, and memory per key.
//
//   npm run build && node --expose-gc bench/micro/mvcc.mjs [keys, default 1000000]
//
// Prints one line per case: time per operation and a checksum of the results.

import { KeyIndex, KeyState } from '../../dist/mvcc/index.js';

const keyTotal = Number(process.argv[2] ?? 1_000_000);
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

  let rev = keyTotal + 1;
  measure('get, random key', 1_000_000, () => {
    let sum = 0;
    for (let i = 0; i < 1_000_000; i++) {
      if (index.get(keys[next() % keyTotal], rev, state)) sum += state.version;
    }
    return sum;
  });
  measure('put, random existing key', 200_000, () => {
    for (let i = 0; i < 200_000; i++) index.put(keys[next() % keyTotal], ++rev, 0, 0, state);
    return index.revisionCount;
  });
  const cursor = index.cursor();
  const page = (atRev) => () => {
    let sum = 0;
    for (let i = 0; i < 1000; i++) {
      cursor.open(keys[next() % keyTotal], '\0', atRev);
      for (let n = 0; n < 1000 && cursor.next(); n++) sum += cursor.state.version;
    }
    return sum;
  };
  measure('range, per key, pages of 1000', 1_000_000, page(rev));
  measure('range at a revision 100000 changes back', 1_000_000, page(rev - 100_000));
  const count = (atRev, times) => () => {
    let sum = 0;
    for (let i = 0; i < times; i++) {
      sum += index.count(keys[next() % keyTotal], '\0', atRev);
    }
    return sum;
  };
  measure('count of a range, current revision', 100_000, count(rev, 100_000));
  measure('count, 100000 updates back', 100_000, count(rev - 100_000, 100_000));
  measure('delete 100000 keys', 100_000, () => {
    rev++;
    for (let i = 0; i < 100_000; i++) index.tombstone(keys[i], rev + i, 0);
    rev += 100_000;
    return index.liveCount;
  });
  measure('count, 100000 deletions back', 10_000, count(rev - 100_000, 10_000));
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
  measure('put, 1000000 updates of one key', 1_000_000, () => {
    for (let i = 0; i < 1_000_000; i++) index.put('hot', ++rev, 0, 0, state);
    return index.revisionCount;
  });
  measure('get of it at random older revisions', 100_000, () => {
    let sum = 0;
    for (let i = 0; i < 100_000; i++) {
      if (index.get('hot', rev - (next() % 1_000_000), state)) sum += state.version;
    }
    return sum;
  });
  console.log(`  check: ${index.check().length} violations`);
}
