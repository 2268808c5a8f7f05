// From a JSON value to wire bytes, as protojson reads it.

import { bytesFromUtf8, type TetcdError } from '../../base/index.ts';
import type { FieldInfo, MessageInfo } from '../descriptor.ts';
import { JSON_NESTING_MAX } from '../limits.ts';
import { putBig, putBytes, putInt, sizeOfBig, sizeOfDelimited, sizeOfInt } from '../wire/writer.ts';
import { bytesFromBase64 } from './base64.ts';
import { JsonTokens, protoError, TOKEN } from './json-tokens.ts';

const INTEGER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d*))?$/;
/**
 * A number at the beginning of a string, as protojson takes it: whatever comes after that is not of a
 * number, and an exponent without digits before it.
 */
const LEADING_NUMBER =
  /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE](?=.)(?:[+-](?=.))?\d*)?(?![-+_.a-zA-Z0-9])/s;

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

/** `bytes` are one JSON value that a scanner has let pass. MALFORMED names line and column. */
export function encodeJson(message: MessageInfo, bytes: Uint8Array): Uint8Array {
  return new JsonEncoder(new JsonTokens(bytes)).message(message, 1);
}

class JsonEncoder {
  readonly #tokens: JsonTokens;

  constructor(tokens: JsonTokens) {
    this.#tokens = tokens;
  }

  message(message: MessageInfo, depth: number): Uint8Array {
    if (depth > JSON_NESTING_MAX) throw protoError('exceeded max recursion depth');
    const tokens = this.#tokens;
    this.#expect(TOKEN.OPEN_OBJECT);
    const parts = new Map<number, Uint8Array>();
    const seen = new Set<FieldInfo>();
    const oneofs = new Set<string>();
    for (;;) {
      tokens.next();
      if (tokens.kind === TOKEN.CLOSE_OBJECT) break;
      const { start } = tokens;
      const field = fieldByJsonName(message, tokens.text());
      if (field === undefined) {
        tokens.skip();
        continue;
      }
      const name = tokens.raw();
      if (seen.has(field)) throw tokens.error(start, `duplicate field ${name}`);
      seen.add(field);
      if (tokens.peek() === TOKEN.NULL) {
        tokens.next();
        continue;
      }
      if (field.oneof !== undefined) {
        if (oneofs.has(field.oneof)) {
          const oneof = `${message.name}.${snakeCase(field.oneof)}`;
          throw tokens.error(start, `error parsing ${name}, oneof ${oneof} is already set`);
        }
        oneofs.add(field.oneof);
      }
      parts.set(field.number, this.#field(field, depth));
    }
    return concat([...parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  }

  #expect(kind: number): void {
    this.#tokens.next();
    if (this.#tokens.kind !== kind) throw this.#tokens.unexpected();
  }

  #field(field: FieldInfo, depth: number): Uint8Array {
    if (field.message?.isMapEntry === true) return this.#map(field, field.message, depth);
    if (field.repeated === true) return this.#list(field, depth);
    if (field.message !== undefined) {
      return delimited(field.number, this.message(field.message, depth + 1));
    }
    const value = this.#scalar(field);
    if (value === undefined || (value.isZero && field.oneof === undefined)) return concat([]);
    return tagged(field, value.bytes);
  }

  #list(field: FieldInfo, depth: number): Uint8Array {
    const tokens = this.#tokens;
    this.#expect(TOKEN.OPEN_ARRAY);
    const { message } = field;
    const isPacked = message === undefined && field.type !== 'string' && field.type !== 'bytes';
    const values: Uint8Array[] = [];
    while (tokens.peek() !== TOKEN.CLOSE_ARRAY) {
      if (message !== undefined) {
        values.push(delimited(field.number, this.message(message, depth + 1)));
        continue;
      }
      const value = this.#scalar(field)?.bytes;
      if (value !== undefined) values.push(isPacked ? value : tagged(field, value));
    }
    tokens.next();
    return isPacked && values.length > 0 ? delimited(field.number, concat(values)) : concat(values);
  }

  #map(field: FieldInfo, entry: MessageInfo, depth: number): Uint8Array {
    const tokens = this.#tokens;
    this.#expect(TOKEN.OPEN_OBJECT);
    const value = entry.fieldByNumber(2)!;
    const seen = new Set<string>();
    const parts: Uint8Array[] = [];
    for (;;) {
      tokens.next();
      if (tokens.kind === TOKEN.CLOSE_OBJECT) return concat(parts);
      const name = tokens.text();
      if (seen.has(name)) throw tokens.error(tokens.start, `duplicate map key ${tokens.raw()}`);
      seen.add(name);
      const key = delimited(1, bytesFromUtf8(name));
      parts.push(delimited(field.number, concat([key, this.#field(value, depth)])));
    }
  }

  /** Undefined for an unknown enum name, which is ignored as unknown fields are. */
  #scalar(field: FieldInfo): Encoded | undefined {
    const tokens = this.#tokens;
    tokens.next();
    const { kind } = tokens;
    switch (field.type) {
      case 'bool':
        if (kind !== TOKEN.TRUE && kind !== TOKEN.FALSE) break;
        return {
          bytes: Uint8Array.of(kind === TOKEN.TRUE ? 1 : 0),
          isZero: kind === TOKEN.FALSE,
        };
      case 'string':
        if (kind !== TOKEN.STRING) break;
        return lengthPrefixed(bytesFromUtf8(tokens.text()));
      case 'bytes': {
        const bytes = kind === TOKEN.STRING ? bytesFromBase64(tokens.asciiText()) : undefined;
        if (bytes === undefined) break;
        return lengthPrefixed(bytes);
      }
      case 'enum': {
        if (kind === TOKEN.STRING) {
          const number = field.enum!.numberOf(tokens.text());
          return number === undefined ? undefined : varint(BigInt(number));
        }
        const number = kind === TOKEN.NUMBER ? integer(tokens.raw(), RANGES.int32) : undefined;
        if (number === undefined) break;
        return varint(number);
      }
      case 'message':
        break;
      default: {
        const text = this.#numberText();
        const number = text === undefined ? undefined : integer(text, RANGES[field.type]);
        if (number === undefined) break;
        return varint(number);
      }
    }
    throw this.#invalid(field);
  }

  /** The number at hand, which may stand in a string. */
  #numberText(): string | undefined {
    const tokens = this.#tokens;
    if (tokens.kind === TOKEN.NUMBER) return tokens.raw();
    if (tokens.kind !== TOKEN.STRING) return undefined;
    const text = tokens.text();
    return text.trim() === text ? LEADING_NUMBER.exec(text)?.[0] : undefined;
  }

  #invalid({ type, name }: FieldInfo): TetcdError {
    const tokens = this.#tokens;
    // A string that is no text is refused as such.
    if (tokens.kind === TOKEN.STRING) tokens.text();
    const what = `invalid value for ${type} field ${jsonName(name)}: ${tokens.raw()}`;
    return tokens.error(tokens.start, what);
  }
}

/** A oneof's name in the schema, of the property that stands for it. */
function snakeCase(property: string): string {
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Names in camel case come first, as protojson looks them up. */
function fieldByJsonName(message: MessageInfo, name: string): FieldInfo | undefined {
  return (
    message.fields.find((field) => jsonName(field.name) === name) ??
    message.fields.find((field) => field.name === name)
  );
}

/** Protobuf's own rule: an underscore goes and the letter after it becomes a capital. */
export function jsonName(name: string): string {
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
  if (!(zeros >= 0) || significant.length + zeros > 20) return undefined;
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
