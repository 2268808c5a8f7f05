import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { generate } from '../../scripts/protocol/generate.ts';
import { propertyName } from '../../scripts/protocol/names.ts';
import { parseSchema } from '../../scripts/protocol/parse.ts';
import { schemaTexts } from './messages.fixture.ts';

const GEN = new URL('gen/', import.meta.url);

test('the generated code is what the schemas say (else: npm run generate)', () => {
  const wanted = generate(schemaTexts());
  const present = readdirSync(GEN, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'));
  expect(present.sort()).toEqual([...wanted.keys()].sort());
  for (const [path, text] of wanted) {
    expect(readFileSync(new URL(path, GEN), 'utf8') === text, path).toBe(true);
  }
});

test.each([
  ['range_end', 'rangeEnd'],
  ['member_ID', 'memberID'],
  ['remaining_TTL', 'remainingTTL'],
  ['ID', 'id'],
  ['TTL', 'ttl'],
  ['Type', 'type'],
  ['PeerURLs', 'peerURLs'],
  ['PrevExist', 'prevExist'],
  ['NodeID', 'nodeID'],
  ['v2', 'v2'],
])('the property of %s is %s', (schema, property) => {
  expect(propertyName(schema)).toBe(property);
});

test.each([
  ['message A { optional int32 a = 1; }', 'proto2 fields are optional'],
  ['message A { int32 a = x; }', 'expected an integer'],
  ['message A { int32 a = 1 }', 'expected ;'],
  ['message A {', 'unexpected end of file'],
  ['mesage A {}', 'unexpected mesage'],
  ['message A { ^ }', 'cannot read this'],
])('a schema with a mistake is refused: %s', (body, problem) => {
  expect(() => parseSchema('a', `syntax = "proto3";\n${body}`)).toThrow(problem);
});

test.each([
  ['message A { B b = 1; }', 'unknown type B'],
  ['message A { int32 a = 1; int32 b = 1; }', 'two fields 1'],
  ['message A { int32 a = 1 [(tetcd.integer) = ID]; }', 'no 64-bit integer'],
  ['message A { oneof x { int32 a = 1; int32 b = 3; } int32 c = 2; }', 'interleaved'],
  ['message A { map<int32, A> a = 1; }', 'only maps of string to message'],
])('a schema that makes no sense is refused: %s', (body, problem) => {
  const schemas = new Map([['a.proto', `syntax = "proto3";\npackage p;\n${body}`]]);
  expect(() => generate(schemas)).toThrow(problem);
});
