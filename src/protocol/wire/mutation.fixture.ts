// Encoded messages changed as no encoder writes them and a decoder may yet take: fields of another wire
// type, unknown fields and groups, fields that come twice or in another order, long varints. Seeded.

import type { Random } from '../../base/index.ts';
import { TxnRequestCodec } from '../gen/code/etcdserverpb/kv.ts';
import { type FieldSpan, fieldSpans } from './field-spans.ts';

export interface MutationOptions {
  /** Also what Go's protobuf refuses, or every decoder. */
  readonly invalid: boolean;
}

const WIRE_TYPES = [0, 1, 2, 3, 5];
/** Numbers that fields of etcd's requests have, and some that none has. */
const NUMBER_MAX = 14;
const UNKNOWN_NUMBER = 97;

/** `bytes` with one to three changes, in the message itself or one that lies within. */
export function mutated(
  bytes: Uint8Array,
  random: Random,
  options: MutationOptions = { invalid: false },
): Uint8Array {
  let result = [...bytes];
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    result = changed(result, random, options);
  }
  return Uint8Array.from(result);
}

function changed(bytes: readonly number[], random: Random, options: MutationOptions): number[] {
  const source = Uint8Array.from(bytes);
  const spans = spansOf(source);
  if (spans === undefined) return [...bytes];
  const fields = spans.map((span) => [...encodedTag(span), ...encodedValue(source, span)]);
  const at = random.below(fields.length + 1);
  const span = spans[at];
  if (span?.wireType === 2 && random.below(2) === 0) {
    const inner = changed([...source.subarray(span.start, span.end)], random, options);
    fields[at] = [...encodedTag(span), ...varint(inner.length), ...inner];
    return fields.flat();
  }
  const kinds = options.invalid ? 7 : 5;
  switch (random.below(kinds)) {
    case 0:
      fields.splice(at, 0, anyField(random.below(NUMBER_MAX) + 1, random));
      break;
    case 1:
      fields.splice(at, 0, anyField(UNKNOWN_NUMBER, random));
      break;
    case 2:
      if (span !== undefined) fields[at] = anyField(span.number, random);
      break;
    case 3:
      if (span !== undefined) fields.splice(random.below(fields.length + 1), 0, fields[at]!);
      break;
    case 4:
      if (span !== undefined)
        fields[at] = [...longVarint(tagOf(span), random), ...encodedValue(source, span)];
      break;
    case 5:
      fields.splice(at, 0, strangeField(random));
      break;
    default: {
      const flat = fields.flat();
      if (flat.length > 0) flat[random.below(flat.length)] = random.below(256);
      return flat;
    }
  }
  return fields.flat();
}

function spansOf(bytes: Uint8Array): FieldSpan[] | undefined {
  try {
    return fieldSpans(TxnRequestCodec.descriptor, bytes);
  } catch {
    return undefined;
  }
}

function tagOf({ number, wireType }: FieldSpan): number {
  return number * 8 + wireType;
}

function encodedTag(span: FieldSpan): number[] {
  return varint(tagOf(span));
}

function encodedValue(bytes: Uint8Array, { wireType, start, end }: FieldSpan): number[] {
  const value = [...bytes.subarray(start, end)];
  return wireType === 2 ? [...varint(value.length), ...value] : value;
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}

/** With zero bits above that it does not need. */
function longVarint(value: number, random: Random): number[] {
  const bytes = varint(value);
  const padding = random.below(11 - bytes.length);
  if (padding === 0) return bytes;
  bytes[bytes.length - 1]! |= 128;
  return [...bytes, ...new Array<number>(padding - 1).fill(128), 0];
}

function anyField(number: number, random: Random): number[] {
  const type = WIRE_TYPES[random.below(WIRE_TYPES.length)]!;
  const tag = varint(number * 8 + type);
  const noise = (count: number) => Array.from({ length: count }, () => random.below(256));
  switch (type) {
    case 0:
      return [...tag, ...longVarint(random.below(2) === 0 ? random.below(5) : 2 ** 40 + 7, random)];
    case 1:
      return [...tag, ...noise(8)];
    case 5:
      return [...tag, ...noise(4)];
    case 2: {
      const content = noise(random.below(4));
      return [...tag, ...varint(content.length), ...content];
    }
    default: {
      const inner = random.below(3) === 0 ? [] : anyField(random.below(NUMBER_MAX) + 1, random);
      return [...tag, ...inner, ...varint(number * 8 + 4)];
    }
  }
}

/** What some decoders take: high bits of a varint, large numbers, groups that end as another. */
function strangeField(random: Random): number[] {
  const number = random.below(NUMBER_MAX) + 1;
  const nine = new Array<number>(8).fill(128);
  switch (random.below(5)) {
    case 0:
      return [...varint(number * 8), 129, ...nine, random.below(128)];
    case 1:
      return [...varint((2 ** 29 + number) * 8), 1];
    case 2:
      return [...varint((2 ** 32 + number) * 8), 1];
    case 3:
      return [...varint(UNKNOWN_NUMBER * 8 + 3), ...varint(number * 8 + 4)];
    default:
      return [...varint(UNKNOWN_NUMBER * 8 + 3), 0, 1, ...varint(UNKNOWN_NUMBER * 8 + 4)];
  }
}
