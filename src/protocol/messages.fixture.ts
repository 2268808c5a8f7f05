// Every message of the schemas three times over: our codec, protobufjs's reading of the same schema,
// and random contents for both.

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import type { MessageInfo } from './descriptor.ts';
import * as protocol from './index.ts';
import { GeneratedCodec } from './wire/generated-codec.ts';

const SCHEMA = new URL('schema/', import.meta.url);

/** Contents in neither library's form: proto names; 64-bit integers as bigint; only what is set. */
export type Contents = Map<string, Content>;
export type Content = boolean | number | bigint | string | Uint8Array | Contents | Content[];

export type AnyCodec = GeneratedCodec<unknown, unknown>;

export function schemaTexts(): Map<string, string> {
  const texts = new Map<string, string>();
  for (const entry of readdirSync(SCHEMA, { recursive: true, encoding: 'utf8' })) {
    const path = entry.replaceAll('\\', '/');
    if (path.endsWith('.proto')) texts.set(path, readFileSync(new URL(path, SCHEMA), 'utf8'));
  }
  return texts;
}

export function allCodecs(): Map<string, AnyCodec> {
  const codecs = new Map<string, AnyCodec>();
  for (const exported of Object.values(protocol)) {
    if (typeof exported !== 'object') continue;
    for (const value of Object.values(exported)) {
      if (value instanceof GeneratedCodec) codecs.set(value.name, value);
    }
  }
  return codecs;
}

export function protobufTypes(): Map<string, protobuf.Type> {
  const root = new protobuf.Root();
  for (const [path, text] of schemaTexts()) {
    // The options' own schemas extend descriptor.proto, which encoding does not need.
    if (path !== 'tetcd.proto' && path !== 'versionpb.proto') {
      protobuf.parse(text, root, { keepCase: true });
    }
  }
  root.resolveAll();
  const types = new Map<string, protobuf.Type>();
  const visit = (space: protobuf.NamespaceBase): void => {
    for (const inner of space.nestedArray) {
      if (inner instanceof protobuf.Type) types.set(inner.fullName.slice(1), inner);
      if (inner instanceof protobuf.Namespace) visit(inner);
    }
  };
  visit(root);
  return types;
}

function option(field: protobuf.Field, name: string): unknown {
  return (field.options as Record<string, unknown> | undefined)?.[`(tetcd.${name})`];
}

/** Not so proto2: its zero fields that are written all the same are lost in proto3's JSON. */
export function isCanonicalInJson(name: string): boolean {
  return !/^(raftpb|walpb|snappb)\.|^etcdserverpb\.(Metadata|Request|InternalRaftRequest)$/.test(
    name,
  );
}

const text = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
);

function bigintOf(field: protobuf.Field): fc.Arbitrary<bigint> {
  const isSigned = field.type === 'int64';
  const policy = option(field, 'integer') ?? 'COUNT';
  const most = policy === 'COUNT' ? 2n ** 53n - 1n : 2n ** 53n;
  const safe = fc.bigInt({ min: isSigned ? -most : 0n, max: most });
  const full = isSigned
    ? fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    : fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const small = fc.bigInt({ min: isSigned ? -2n : 0n, max: 300n });
  return fc.oneof(small, safe, policy === 'ID' ? full : safe);
}

function scalar(field: protobuf.Field): fc.Arbitrary<Content> {
  if (field.resolvedType instanceof protobuf.Enum) {
    return fc.oneof(fc.nat(5), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
  }
  switch (field.type) {
    case 'bool':
      return fc.boolean();
    case 'string':
      return text;
    case 'bytes':
      return fc.uint8Array({ maxLength: 60 });
    case 'uint32':
      return fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
    case 'int64':
    case 'uint64':
      return bigintOf(field);
    default:
      throw new Error(`no contents for ${field.type}`);
  }
}

function isZero(content: Content): boolean {
  if (content instanceof Uint8Array || Array.isArray(content)) return content.length === 0;
  return content === false || content === 0 || content === 0n || content === '';
}

/** Contents in their canonical form: what is not written when zero is not in it. */
export function contentsOf(type: protobuf.Type, depth = 4): fc.Arbitrary<Contents> {
  const fields = type.fieldsArray.filter((field) => !field.partOf);
  const parts = fields.map((field) => [field.name, fieldContents(field, depth)] as const);
  const oneofs = type.oneofsArray.map((oneof) => {
    const choices = oneof.fieldsArray
      .filter((field) => depth > 1 || !(field.resolvedType instanceof protobuf.Type))
      .map((field) =>
        singular(field, depth).map((content): [string, Content] => [field.name, content]),
      );
    return choices.length === 0
      ? fc.constant(undefined)
      : fc.option(fc.oneof(...choices), { nil: undefined });
  });
  return fc
    .tuple(fc.record(Object.fromEntries(parts)), fc.tuple(...oneofs))
    .map(([record, chosen]) => {
      const contents: Contents = new Map();
      for (const [name, content] of Object.entries(record)) {
        if (content !== undefined) contents.set(name, content);
      }
      for (const choice of chosen) if (choice !== undefined) contents.set(...choice);
      return contents;
    });
}

function singular(field: protobuf.Field, depth: number): fc.Arbitrary<Content> {
  const { resolvedType } = field;
  return resolvedType instanceof protobuf.Type
    ? contentsOf(resolvedType, depth - 1)
    : scalar(field);
}

function fieldContents(field: protobuf.Field, depth: number): fc.Arbitrary<Content | undefined> {
  const { resolvedType } = field;
  const isMessage = resolvedType instanceof protobuf.Type;
  if (isMessage && depth <= 1) return fc.constant(undefined);
  if (field instanceof protobuf.MapField) {
    // Sorted, as JSON has them; no digits alone, which an object of protobufjs would reorder.
    const entry = fc.tuple(
      text.map((key) => `k${key}`),
      singular(field, depth),
    );
    return fc
      .uniqueArray(entry, { selector: ([key]) => key, maxLength: 3 })
      .map((entries) => entries.sort(([a], [b]) => (a < b ? -1 : 1)))
      .map((entries) => (entries.length === 0 ? undefined : new Map(entries)));
  }
  if (field.repeated) {
    const items = fc.array(singular(field, depth), { maxLength: isMessage ? 2 : 5 });
    return items.map((list) => (list.length === 0 ? undefined : list));
  }
  if (isMessage) return fc.option(singular(field, depth), { nil: undefined });
  if (option(field, 'always') === true) return scalar(field);
  if (option(field, 'presence') === true) return fc.option(scalar(field), { nil: undefined });
  const mostlySet = fc.option(scalar(field), { nil: undefined, freq: 3 });
  return mostlySet.map((content) =>
    content === undefined || isZero(content) ? undefined : content,
  );
}

/** As protobufjs wants it. */
export function toProtobufjs(type: protobuf.Type, contents: Contents): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const [name, content] of contents) {
    message[name] = protobufjsValue(type.fields[name]!, content);
  }
  return message;
}

function protobufjsValue(field: protobuf.Field, content: Content): unknown {
  if (Array.isArray(content)) return content.map((item) => protobufjsValue(field, item));
  if (typeof content === 'bigint') {
    const low = Number(BigInt.asIntN(32, content));
    const high = Number(BigInt.asIntN(32, content >> 32n));
    return new protobuf.util.Long(low, high, field.type === 'uint64');
  }
  if (!(content instanceof Map)) return content;
  const inner = field.resolvedType as protobuf.Type;
  if (!(field instanceof protobuf.MapField)) return toProtobufjs(inner, content);
  const entries = [...content].map(([key, value]) => [key, toProtobufjs(inner, value as Contents)]);
  return Object.fromEntries(entries);
}

/** As our codecs should give it. */
export function toOurs(info: MessageInfo, contents: Contents): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const field of info.fields) {
    const content = contents.get(field.name);
    const convert = (value: Content): unknown => {
      if (value instanceof Map) return toOurs(field.message!, value);
      return typeof value === 'bigint' && field.integer !== 'id' ? Number(value) : value;
    };
    if (field.oneof !== undefined) {
      message[field.oneof] ??= undefined;
      if (content !== undefined) {
        message[field.oneof] = { case: field.property, value: convert(content) };
      }
    } else if (field.message?.isMapEntry === true) {
      const value = field.message.fieldByNumber(2)!.message!;
      const entries = content instanceof Map ? [...content] : [];
      message[field.property] = new Map(
        entries.map(([key, item]) => [key, toOurs(value, item as Contents)]),
      );
    } else if (field.repeated === true) {
      message[field.property] = Array.isArray(content) ? content.map(convert) : [];
    } else {
      message[field.property] = content === undefined ? absent(field) : convert(content);
    }
  }
  if (info.name === 'etcdserverpb.InternalRaftRequest') message['unknownFields'] = [];
  return message;
}

function absent(field: MessageInfo['fields'][number]): unknown {
  const isOptional = /^(PrevExist|Refresh)$/.test(field.name);
  switch (field.type) {
    case 'bool':
      return isOptional ? undefined : false;
    case 'string':
      return '';
    case 'bytes':
      return new Uint8Array(0);
    case 'message':
      return undefined;
    default:
      return field.integer === 'id' ? 0n : 0;
  }
}
