// From parsed JSON to wire bytes, as protojson reads it.

import { bytesFromUtf8, type TetcdError } from '../../base/index.ts';
import type { FieldInfo, MessageInfo } from '../descriptor.ts';
import { putBig, putBytes, putInt, sizeOfBig, sizeOfDelimited, sizeOfInt } from '../wire/writer.ts';
import { bytesFromBase64 } from './base64.ts';
import { type JsonMember, type JsonNode, jsonError } from './json-parse.ts';

const INTEGER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
const INTEGER_STRING = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Least and largest value of the integer types. */
const RANGES = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
} as const;

/** A scalar's bytes, its length included if it has one, and whether it is the zero value. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly isZero: boolean;
}

/** `text` is what `node` was parsed from; errors show where. */
export function encodeJson(message: MessageInfo, text: string, node: JsonNode): Uint8Array {
  return new JsonEncoder(text).message(message, node, message.name);
}

class JsonEncoder {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  message(message: MessageInfo, node: JsonNode, path: string): Uint8Array {
    if (node.kind !== 'object') throw this.#error(path, node, 'expected an object');
    const parts = new Map<number, Uint8Array>();
    const seen = new Set<FieldInfo>();
    const oneofs = new Set<string>();
    for (const member of node.members) {
      const field = fieldByJsonName(message, member.name);
      if (field === undefined) continue;
      const place = `${path}.${field.name}`;
      if (seen.has(field)) throw this.#error(place, member, 'given twice');
      seen.add(field);
      if (member.value.kind === 'null') continue;
      if (field.oneof !== undefined) {
        if (oneofs.has(field.oneof)) throw this.#error(place, member, 'another one is given too');
        oneofs.add(field.oneof);
      }
      parts.set(field.number, this.#field(field, member.value, place));
    }
    return concat([...parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  }

  #field(field: FieldInfo, node: JsonNode, path: string): Uint8Array {
    if (field.message?.isMapEntry === true) return this.#map(field, field.message, node, path);
    if (field.repeated === true) return this.#list(field, node, path);
    if (field.message !== undefined) {
      return delimited(field.number, this.message(field.message, node, path));
    }
    const value = this.#scalar(field, node, path);
    if (value === undefined || (value.isZero && field.oneof === undefined)) return concat([]);
    return tagged(field, value.bytes);
  }

  #list(field: FieldInfo, node: JsonNode, path: string): Uint8Array {
    if (node.kind !== 'array') throw this.#error(path, node, 'expected an array');
    const { message } = field;
    if (message !== undefined) {
      return concat(
        node.items.map((item) => delimited(field.number, this.message(message, item, path))),
      );
    }
    const values = node.items.flatMap((item) => this.#scalar(field, item, path)?.bytes ?? []);
    if (field.type === 'string' || field.type === 'bytes') {
      return concat(values.map((bytes) => tagged(field, bytes)));
    }
    return values.length === 0 ? concat([]) : delimited(field.number, concat(values));
  }

  #map(field: FieldInfo, entry: MessageInfo, node: JsonNode, path: string): Uint8Array {
    if (node.kind !== 'object') throw this.#error(path, node, 'expected an object');
    const value = entry.fieldByNumber(2)!;
    const seen = new Set<string>();
    const parts = node.members.map((member: JsonMember) => {
      if (seen.has(member.name)) throw this.#error(path, member, 'key given twice');
      seen.add(member.name);
      const key = delimited(1, bytesFromUtf8(member.name));
      return delimited(field.number, concat([key, this.#field(value, member.value, path)]));
    });
    return concat(parts);
  }

  /** Undefined for an unknown enum name, which is ignored as unknown fields are. */
  #scalar(field: FieldInfo, node: JsonNode, path: string): Encoded | undefined {
    switch (field.type) {
      case 'bool':
        if (node.kind !== 'true' && node.kind !== 'false') break;
        return {
          bytes: Uint8Array.of(node.kind === 'true' ? 1 : 0),
          isZero: node.kind === 'false',
        };
      case 'string':
        if (node.kind !== 'string') break;
        return lengthPrefixed(bytesFromUtf8(node.text));
      case 'bytes': {
        const bytes = node.kind === 'string' ? bytesFromBase64(node.text) : undefined;
        if (bytes === undefined) break;
        return lengthPrefixed(bytes);
      }
      case 'enum': {
        if (node.kind === 'string') {
          const number = field.enum!.numberOf(node.text);
          return number === undefined ? undefined : varint(BigInt(number));
        }
        const number = node.kind === 'number' ? integer(node.text, RANGES.int32) : undefined;
        if (number === undefined) break;
        return varint(number);
      }
      case 'message':
        break;
      default: {
        const isNumber =
          node.kind === 'number' || (node.kind === 'string' && INTEGER_STRING.test(node.text));
        const number = isNumber ? integer(node.text, RANGES[field.type]) : undefined;
        if (number === undefined) break;
        return varint(number);
      }
    }
    throw this.#error(path, node, `no ${field.type}`);
  }

  #error(path: string, where: { readonly at: number }, problem: string): TetcdError {
    return jsonError(path, this.#text, where.at, problem);
  }
}

/** Names in camel case come first, as protojson looks them up. */
function fieldByJsonName(message: MessageInfo, name: string): FieldInfo | undefined {
  return (
    message.fields.find((field) => jsonName(field.name) === name) ??
    message.fields.find((field) => field.name === name)
  );
}

/** Protobuf's own rule: an underscore goes and the letter after it becomes a capital. */
function jsonName(name: string): string {
  return name.replace(/_([a-z]?)/g, (_, letter: string) => letter.toUpperCase());
}

/** The integer that the number denotes, `1e3` and `2.0` included; undefined if none or out of range. */
function integer(text: string, [least, most]: readonly [bigint, bigint]): bigint | undefined {
  const [, sign, whole, fraction = '', exponent = '0'] = INTEGER.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return 0n;
  const zeros = digits.length - significant.length + Number(exponent) - fraction.length;
  // Twenty digits exceed every type.
  if (zeros < 0 || significant.length + zeros > 20) return undefined;
  const value = BigInt(`${sign}${significant}${'0'.repeat(zeros)}`);
  return value < least || value > most ? undefined : value;
}

function varint(value: bigint): Encoded {
  const bytes = new Uint8Array(sizeOfBig(value));
  putBig(value, bytes, bytes.length);
  return { bytes, isZero: value === 0n };
}

function lengthPrefixed(content: Uint8Array): Encoded {
  const bytes = new Uint8Array(sizeOfDelimited(content.length));
  putBytes(content, bytes, bytes.length);
  return { bytes, isZero: content.length === 0 };
}

function tagged(field: FieldInfo, value: Uint8Array): Uint8Array {
  const type = field.type === 'string' || field.type === 'bytes' ? 2 : 0;
  return withTag(field.number * 8 + type, value);
}

function delimited(number: number, content: Uint8Array): Uint8Array {
  return withTag(number * 8 + 2, lengthPrefixed(content).bytes);
}

function withTag(tag: number, value: Uint8Array): Uint8Array {
  const size = sizeOfInt(tag);
  const bytes = new Uint8Array(size + value.length);
  putInt(tag, bytes, size);
  bytes.set(value, size);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
