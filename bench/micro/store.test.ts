// The micro benchmark in a small size, so that it never rots. It runs on the built code.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const built = path.resolve(import.meta.dirname, '../../dist/store/index.js');

test('bench/micro/store.mjs runs', (context) => {
  if (!existsSync(built)) context.skip('nothing is built; npm run build');
  const script = path.join(import.meta.dirname, 'store.mjs');
  const output = execFileSync(process.execPath, [script, '2000'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(output).toContain('checksum ');
});
