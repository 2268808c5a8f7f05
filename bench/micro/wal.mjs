// The write-ahead log on its own: group commit, a serial writer, encoding, reading back.
//
//   npm run build && node bench/micro/wal.mjs [records]
//
// Seeded; a checksum of what was read back must not change for a number of records. Times depend on
// the disk below the temporary directory ($TMPDIR).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c, seededRandom } from '../../dist/base/index.js';
import { createNodeEnv } from '../../dist/net/index.js';
import { FrameBuffer } from '../../dist/wal/frame-buffer.js';
import { createWal, openWal } from '../../dist/wal/index.js';

const RECORDS = Number(process.argv[2] ?? 300_000);
const SERIAL_RECORDS = Math.min(RECORDS, 3_000);
const WRITERS = 100;
const DATA_SIZE = 300;
const METADATA = new Uint8Array(20).fill(1);
const START = { index: 0, term: 0 };

const env = createNodeEnv();
const random = seededRandom(1);
const payload = Uint8Array.from({ length: DATA_SIZE + 256 }, () => random.below(256));

function print(label, count, wallMs, cpu, more = '') {
  const us = (total) => (total / count).toFixed(2).padStart(6);
  const rate = Math.round((count / wallMs) * 1000);
  console.log(
    `${label.padEnd(40)} ${String(rate).padStart(9)} records/s ${us(cpu.user)} + ${us(cpu.system)} us CPU (user + system)  ${more}`,
  );
}

async function measure(label, count, work) {
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  const more = await work();
  print(label, count, performance.now() - before, process.cpuUsage(cpuBefore), more);
}

/** One writer of many: its next append when the last one is done. */
class Writer {
  mustSync = true;
  hardState = undefined;
  entries = [{ type: 0, term: 1, index: 0, data: payload }];

  constructor(run) {
    this.run = run;
  }

  start() {
    const entry = this.entries[0];
    entry.index = ++this.run.index;
    entry.data = payload.subarray(entry.index & 255, (entry.index & 255) + DATA_SIZE);
    this.run.wal.append(this);
  }

  complete(error) {
    if (error !== undefined) throw error;
    this.run.done++;
    if (this.run.index < this.run.count) this.start();
    else if (this.run.done === this.run.count) this.run.resolve();
  }
}

function write(wal, writers, from, count) {
  return new Promise((resolve) => {
    const run = { wal, index: from, done: from, count: from + count, resolve };
    for (let i = 0; i < Math.min(writers, count); i++) new Writer(run).start();
  });
}

async function withLog(options, work) {
  const directory = mkdtempSync(join(tmpdir(), 'tetcd-wal-'));
  let [syncs, syncSeconds, writes, writeSeconds] = [0, 0, 0, 0];
  const observer = {
    synced(seconds) {
      syncs++;
      syncSeconds += seconds;
    },
    wrote(_bytes, seconds) {
      writes++;
      writeSeconds += seconds;
    },
  };
  const path = join(directory, 'wal');
  const created = performance.now();
  const wal = await createWal(env, path, METADATA, { observer, ...options });
  const createMs = performance.now() - created;
  const statistics = () => {
    const text =
      `${syncs} syncs of ${((syncSeconds / syncs) * 1e6).toFixed(0)} us, ` +
      `${writes} writes of ${((writeSeconds / writes) * 1e6).toFixed(0)} us`;
    [syncs, syncSeconds, writes, writeSeconds] = [0, 0, 0, 0];
    return text;
  };
  statistics();
  try {
    await work(wal, path, statistics, createMs);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

await measure('encode', RECORDS, () => {
  const frames = new FrameBuffer(0);
  const entry = { type: 0, term: 1, index: 1, data: payload.subarray(0, DATA_SIZE) };
  for (let i = 1; i <= RECORDS; i++) {
    entry.index = i;
    frames.entry(entry);
    if (frames.length > 100_000) frames.clear();
  }
  return `${frames.crc}`;
});

await withLog({}, async (wal, path, statistics, createMs) => {
  console.log(`create: ${createMs.toFixed(0)} ms`);
  await write(wal, WRITERS, 0, RECORDS >> 3);
  statistics();
  const from = RECORDS >> 3;
  await measure(`group commit, ${WRITERS} writers`, RECORDS, async () => {
    await write(wal, WRITERS, from, RECORDS);
    return statistics();
  });
  await measure('serial writer', SERIAL_RECORDS, async () => {
    await write(wal, 1, from + RECORDS, SERIAL_RECORDS);
    return statistics();
  });
  await wal.close();
  const total = from + RECORDS + SERIAL_RECORDS;
  await measure('open and read back', total, async () => {
    const opened = await openWal(env, path, START);
    let sum = 0;
    for (const entry of opened.entries) sum = crc32c(sum, entry.data);
    await opened.wal.close();
    if (opened.entries.length !== total) throw new Error('records are missing');
    return `${sum}`;
  });
});
