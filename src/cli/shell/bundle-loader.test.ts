import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { BundleLoader } from './bundle-loader.ts';

const ADDER = `"use strict";
const { one } = require("./one.js");
exports.add = (n) => n + one;
exports.where = [__filename, __dirname, typeof module.exports];
`;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tetcd-loader-'));
  writeFileSync(join(directory, 'adder.js'), ADDER);
  writeFileSync(join(directory, 'one.js'), 'exports.one = 1;');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const pathOf = (name: string): string => join(directory, name);

/** What is loaded, and the ids that were left to `require`. */
function loadAdder(options?: { readonly keeps?: boolean }) {
  const left: string[] = [];
  const require = (id: string): unknown => {
    left.push(id);
    return { add: (n: number) => n + 100 };
  };
  const loader = new BundleLoader(directory, require, options);
  const adder = loader.load('./adder.js') as { add(n: number): number; where?: unknown };
  return { loader, left, adder };
}

function keep(): void {
  const { loader, adder } = loadAdder({ keeps: true });
  expect(adder.add(1)).toBe(2);
  loader.keepCode();
}

test('a file without code is loaded as any other', () => {
  const { left, adder } = loadAdder();
  expect(left).toEqual([pathOf('adder.js')]);
  expect(adder.add(1)).toBe(101);
});

test('files with code are run here, once, and what they require', () => {
  keep();
  const { loader, left, adder } = loadAdder();
  expect(left).toEqual([]);
  expect(adder.add(1)).toBe(2);
  expect(adder.where).toEqual([pathOf('adder.js'), directory, 'object']);
  expect(loader.load('./adder.js')).toBe(adder);
  loader.load('node:fs');
  expect(left).toEqual(['node:fs']);
});

test('code that is damaged, or of another source, is not used', () => {
  keep();
  const cache = pathOf('adder.js.cache');
  const whole = readFileSync(cache);
  const random = seededRandom(1);
  const changed = (at: number): Buffer => {
    const copy = Buffer.from(whole);
    copy[at]! ^= 1 << random.below(8);
    return copy;
  };
  const damaged = [
    ...Array.from({ length: 40 }, () => changed(random.below(whole.length))),
    ...[0, 1, 31, 32, whole.length - 1].map((length) => whole.subarray(0, length)),
    Buffer.concat([whole, Buffer.alloc(1)]),
  ];
  for (const bytes of damaged) {
    writeFileSync(cache, bytes);
    expect(loadAdder().left).toEqual([pathOf('adder.js')]);
  }
  writeFileSync(cache, whole);
  expect(loadAdder().left).toEqual([]);
  // V8 itself would take it: the length is the same.
  writeFileSync(pathOf('adder.js'), ADDER.replace('n + one', 'n - one'));
  expect(loadAdder().left).toEqual([pathOf('adder.js')]);
});

test('a stack trace has the file and its own lines and columns', () => {
  writeFileSync(pathOf('one.js'), 'throw new Error("here");\n');
  writeFileSync(pathOf('adder.js'), '"use strict";\n\n  require("./one.js");\n');
  expect(() => loadAdder({ keeps: true })).toThrow('here');
  try {
    loadAdder({ keeps: true });
  } catch (error) {
    const { stack } = error as Error;
    expect(stack).toContain(`${pathOf('one.js')}:1:7`);
    expect(stack).toContain(`${pathOf('adder.js')}:3:3`);
  }
});
