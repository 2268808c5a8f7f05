import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TetcdError } from '../../base/index.ts';
import { jsonFromWire, wireFromJson } from '../json/json.ts';
import { JsonPrinter } from '../json/json-printer.ts';
import {
  type AnyCodec,
  allCodecs,
  contentsOf,
  isCanonicalInJson,
  protobufTypes,
  toOurs,
  toProtobufjs,
} from '../messages.fixture.ts';

const codecs = allCodecs();
const types = protobufTypes();
const names = [...codecs.keys()].sort();

test('every message of the schemas has a codec, and nothing else has', () => {
  expect(names).toEqual([...types.keys()].sort());
  expect(names.length).toBe(156);
});

test.each(names)('%s equals protobufjs in both directions, byte for byte', (name) => {
  const codec = codecs.get(name)!;
  const type = types.get(name)!;
  fc.assert(
    fc.property(contentsOf(type), (contents) => {
      const theirs = Uint8Array.from(type.encode(toProtobufjs(type, contents)).finish());
      const message = toOurs(codec.descriptor, contents);
      expect(codec.decode(theirs)).toEqual(message);
      expect(codec.encode(message)).toEqual(theirs);
      expect(codec.create(message)).toEqual(message);
      writesWhereTold(codec, message, theirs);
      expect(printed(codec, theirs)).toBe(jsonFromWire(codec.descriptor, theirs));
      if (isCanonicalInJson(name)) {
        expect(wireFromJson(codec.descriptor, jsonFromWire(codec.descriptor, theirs))).toEqual(
          theirs,
        );
      }
    }),
    { numRuns: 25 },
  );
});

/** As JSON, in pieces that are cut anywhere. */
function printed({ descriptor }: AnyCodec, bytes: Uint8Array): string {
  const printer = new JsonPrinter(descriptor);
  let text = '';
  for (let at = 0; at < bytes.length; at += 5) text += printer.push(bytes.slice(at, at + 5));
  return text + printer.end();
}

function writesWhereTold(codec: AnyCodec, message: unknown, expected: Uint8Array): void {
  const target = new Uint8Array(expected.length + 5).fill(0xee);
  expect(codec.write(message, target, 3)).toBe(3 + expected.length);
  expect(target.subarray(3, 3 + expected.length)).toEqual(expected);
  expect([...target.subarray(0, 3), ...target.subarray(-2)]).toEqual(Array(5).fill(0xee));
  expect(codec.decode(target, 3, 3 + expected.length)).toEqual(codec.decode(expected));
}

/** Decodes, as message and as JSON; a failure must be a TetcdError that names the place. */
function decodesOrRefuses(codec: AnyCodec, bytes: Uint8Array, end = bytes.length): void {
  for (const decode of [
    () => codec.decode(bytes, 0, end),
    () => jsonFromWire(codec.descriptor, bytes, 0, end),
  ]) {
    try {
      decode();
    } catch (error) {
      expect(error).toBeInstanceOf(TetcdError);
      expect((error as TetcdError).message).toMatch(/^[\w.]+ at byte \d+: ./);
      expect((error as TetcdError).message.startsWith(codec.name)).toBe(true);
    }
  }
}

test.each(names)('%s cut anywhere or with any byte changed is read or refused', (name) => {
  const codec = codecs.get(name)!;
  const type = types.get(name)!;
  fc.assert(
    fc.property(contentsOf(type), fc.nat(255), (contents, noise) => {
      const bytes = codec.encode(toOurs(codec.descriptor, contents));
      for (let end = 0; end < bytes.length; end++) decodesOrRefuses(codec, bytes, end);
      for (let at = 0; at < bytes.length; at++) {
        const before = bytes[at]!;
        for (const value of [noise, before ^ (1 << (at & 7)), 0xff]) {
          bytes[at] = value;
          decodesOrRefuses(codec, bytes);
        }
        bytes[at] = before;
      }
    }),
    { numRuns: 4 },
  );
});

test('random bytes are read or refused by every codec', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 40 }), (name, bytes) => {
      decodesOrRefuses(codecs.get(name)!, bytes);
    }),
    { numRuns: 3000 },
  );
});
