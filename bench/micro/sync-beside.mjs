// What the log of a member waits for at worst while another file on its disk is written or removed; no
// server.
//
//   node bench/micro/sync-beside.mjs [--directory D] [--megabytes 2000] [--rounds 2]
//
// 1,000 records of 320 bytes are due each second; those that wait are written to a file that was filled
// beforehand, with one write and one fdatasync at a time, as the log does. Beside that, in this order:
// nothing; a file written as fast as it can be; the file removed at once; one written as a defragmentation
// does, with a sync after each MiB and a rest as long as both took; the file given back in steps. Each line:
// how long records waited, from the time each was due, and how long the other work took.

import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    directory: { type: 'string' },
    megabytes: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '2' },
  },
});
const MIB = 1024 * 1024;
const BYTES = Number(values.megabytes) * MIB;
const RECORD_BYTES = 320;
const LOG_BYTES = 32 * MIB;
const RECORDS_AT_ONCE = 2000;
const ALONE_MS = 8000;

const directory = mkdtempSync(join(values.directory ?? tmpdir(), 'tetcd-sync-'));
const logPath = join(directory, 'log');
const largePath = join(directory, 'large');
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Writes and syncs records until `work` has ended; resolves to how long each waited, ascending. */
async function waitsBeside(work) {
  const log = await open(logPath, 'r+');
  const record = Buffer.alloc(RECORD_BYTES, 1);
  const waits = [];
  let ended = false;
  const startedAt = performance.now();
  const working = work().finally(() => {
    ended = true;
  });
  for (let written = 0, at = 0; !ended; ) {
    const due = Math.min(written + RECORDS_AT_ONCE, Math.floor(performance.now() - startedAt));
    if (due === written) {
      await pause(1);
      continue;
    }
    const bytes = Buffer.concat(Array(due - written).fill(record));
    if (at + bytes.length > LOG_BYTES) at = 0;
    await log.write(bytes, 0, bytes.length, at);
    await log.datasync();
    at += bytes.length;
    const now = performance.now();
    for (; written < due; written++) waits.push(now - startedAt - written);
  }
  await working;
  await log.close();
  return waits.sort((a, b) => a - b);
}

async function writeLarge({ blockBytes, restFactor }) {
  const file = await open(largePath, 'w');
  const block = Buffer.alloc(blockBytes, 'content that is no zeros');
  for (let at = 0; at < BYTES; at += blockBytes) {
    const beganAt = performance.now();
    await file.write(block, 0, blockBytes, at);
    await file.datasync();
    if (restFactor > 0) await pause((performance.now() - beganAt) * restFactor);
  }
  await file.close();
}

async function giveBack(stepBytes) {
  const file = await open(largePath, 'r+');
  let { size } = await file.stat();
  rmSync(largePath);
  while (stepBytes > 0 && size > 0) {
    const beganAt = performance.now();
    size = Math.max(0, size - stepBytes);
    await file.truncate(size);
    await file.datasync();
    await pause((performance.now() - beganAt) * 2);
  }
  await file.close();
  // The file system frees blocks, and the disk is told, with the next commit of the journal.
  await pause(6000);
}

const CASES = [
  ['alone', () => pause(ALONE_MS)],
  ['written, 4 MiB at a time', () => writeLarge({ blockBytes: 4 * MIB, restFactor: 0 })],
  ['removed at once', () => giveBack(0)],
  ['written, 1 MiB at a time, rests', () => writeLarge({ blockBytes: MIB, restFactor: 1 })],
  ['given back, 8 MiB at a time, rests', () => giveBack(8 * MIB)],
];

try {
  const log = await open(logPath, 'w');
  for (let at = 0; at < LOG_BYTES; at += MIB) await log.write(Buffer.alloc(MIB), 0, MIB, at);
  await log.sync();
  await log.close();
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const [name, work] of CASES) {
      const beganAt = performance.now();
      const waits = await waitsBeside(work);
      const at = (share) => waits[Math.floor((waits.length - 1) * share)].toFixed(1).padStart(7);
      const seconds = ((performance.now() - beganAt) / 1000).toFixed(1).padStart(5);
      console.info(
        `${round} ${name.padEnd(38)} p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms, ${seconds} s`,
      );
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
