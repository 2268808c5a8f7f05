// nghttp2's load generator as a client: another HPACK encoder, another framing, many connections.

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Rig, startRig } from '../testing/rig.fixture.ts';

const H2LOAD = 'h2load';
const directory = mkdtempSync(join(tmpdir(), 'grpc-h2load-'));
let rig: Rig;

function available(): boolean {
  try {
    execFileSync(H2LOAD, ['--version']);
    return true;
  } catch (error) {
    if (process.env['CI'] === 'true') throw error;
    console.warn('h2load is not installed: skipped');
    return false;
  }
}

beforeAll(async () => {
  rig = await startRig();
});
afterAll(async () => {
  await rig.close();
  rmSync(directory, { recursive: true });
});

test.skipIf(!available()).each([
  ['small calls', '/test.Echo/Unary', 16, 4_000, ['-c', '8', '-m', '16']],
  ['answers of a later turn', '/test.Echo/Later', 16, 4_000, ['-c', '8', '-m', '16']],
  [
    'large calls in small windows',
    '/test.Echo/Unary',
    200_000,
    200,
    ['-c', '4', '-m', '8', '-w', '14', '-W', '15'],
  ],
])('%s', async (_name, path, size, calls, options) => {
  const body = Buffer.alloc(5 + size, 'x');
  body[0] = 0;
  body.writeUInt32BE(size, 1);
  const file = join(directory, 'body');
  writeFileSync(file, body);
  const stats = rig.server.methods.find((method) => method.path === path)!;
  const before = stats.ended[0]!;
  const { stdout } = await promisify(execFile)(
    H2LOAD,
    [
      ...['-n', String(calls), ...options, '-d', file],
      ...['-H', 'content-type: application/grpc', '-H', 'te: trailers'],
      `http://${rig.target}${path}`,
    ],
    { timeout: 25_000 },
  );
  expect(stdout).toContain(`${calls} succeeded, 0 failed, 0 errored, 0 timeout`);
  // It counts gRPC errors as success; our own counters do not.
  expect(stats.ended[0]! - before).toBe(calls);
  const received = /traffic: .*\((\d+)\) data/.exec(stdout);
  expect(Number(received?.[1])).toBe(calls * (5 + size));
});
