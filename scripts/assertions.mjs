// Counts assertions per function, part by part: node scripts/assertions.mjs [FOLDER...] [--files]
//
// A function is one with a name: declared, a method, or an accessor; constructors and accessors that only
// return a field are left out, and so are callbacks. An assertion is a call of `invariant`, `fail` or
// `unreachable`. A called helper counts once, where its own assertions stand.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'rolldown/utils';

const PARTS = ['src/raft', 'src/bbolt', 'src/wal', 'src/server/consensus'];
const ASSERTIONS = new Set(['invariant', 'fail', 'unreachable']);

const args = process.argv.slice(2);
const perFile = args.includes('--files');
const folders = args.filter((arg) => !arg.startsWith('--'));

for (const folder of folders.length > 0 ? folders : PARTS) {
  const total = { functions: 0, assertions: 0 };
  for (const path of sources(folder)) {
    const counted = count(path);
    total.functions += counted.functions;
    total.assertions += counted.assertions;
    if (perFile) print(path, counted);
  }
  print(folder, total);
}

function print(name, { functions, assertions }) {
  const share = functions === 0 ? '-' : (assertions / functions).toFixed(2);
  console.log(`${share.padStart(5)}  ${assertions} in ${functions} functions  ${name}`);
}

function sources(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(name))
    .map((name) => join(folder, name))
    .sort();
}

function count(path) {
  const parsed = parseSync(path, readFileSync(path, 'utf8'));
  if (parsed.errors.length > 0) throw new Error(`${path}: ${parsed.errors[0].message}`);
  const counted = { functions: 0, assertions: 0 };
  visit(parsed.program, counted);
  return counted;
}

function visit(node, counted) {
  if (Array.isArray(node)) {
    for (const item of node) visit(item, counted);
    return;
  }
  if (node === null || typeof node !== 'object') return;
  if (isFunction(node)) counted.functions++;
  if (node.type === 'CallExpression' && ASSERTIONS.has(node.callee.name)) counted.assertions++;
  for (const value of Object.values(node)) visit(value, counted);
}

function isFunction(node) {
  if (node.type === 'FunctionDeclaration') return node.body !== null;
  if (node.type !== 'MethodDefinition' || node.kind === 'constructor') return false;
  return !(node.kind === 'get' && returnsField(node.value.body));
}

function returnsField(body) {
  const [only, ...others] = body?.body ?? [];
  return (
    others.length === 0 &&
    only?.type === 'ReturnStatement' &&
    only.argument?.type === 'MemberExpression'
  );
}
