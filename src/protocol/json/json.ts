// The proto3 JSON mapping of etcd's JSON gateway (grpc-gateway with protojson: names as in the schema,
// zero values left out, unknown names ignored): from JSON text to wire bytes and back. It works on the
// bytes rather than on messages because the bytes are what the services behind the gateway take and
// give, and because bytes keep every 64-bit integer exact.
//
//   out   int64 and uint64 as strings, 32-bit as numbers, enums by name, bytes in padded base64
//   in    names as in the schema or in camel case; integers as numbers or strings; enums by name or
//         number; base64 of either alphabet; null is "not given"

import { bytesFromUtf8, ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { FieldInfo, MessageInfo } from '../descriptor.ts';
import { JSON_NESTING_MAX } from '../limits.ts';
import type { GeneratedCodec } from '../wire/generated-codec.ts';
import { LENIENT, Reader } from '../wire/reader.ts';
import { base64FromBytes } from './base64.ts';
import { encodeJson, jsonName } from './json-encode.ts';
import { JsonSplitter } from './json-splitter.ts';

/** By field number: a scalar, a Tree for a message, an array of either for a repeated field. */
type Tree = Map<number, Value>;
type Scalar = boolean | number | bigint | string | Uint8Array;
type Value = Scalar | Tree | (Scalar | Tree)[];

const reader = new Reader();

/**
 * The wire bytes of the message that a JSON value means. MALFORMED in the words of Go's encoding/json and
 * protojson, with line and column.
 */
export function wireFromJson(message: MessageInfo, json: Uint8Array | string): Uint8Array {
  const splitter = new JsonSplitter();
  const values = [...splitter.push(typeof json === 'string' ? bytesFromUtf8(json) : json)];
  const last = splitter.end();
  if (last !== undefined) values.push(last);
  if (values.length !== 1) throw new TetcdError(ERROR_CODES.MALFORMED, 'not one JSON value');
  return encodeJson(message, values[0]!);
}

/** {@link wireFromJson} of a value that a {@link JsonSplitter} has cut out. */
export function wireFromJsonValue(message: MessageInfo, value: Uint8Array): Uint8Array {
  return encodeJson(message, value);
}

export function messageFromJson<T, Init>(codec: GeneratedCodec<T, Init>, text: string): T {
  return codec.decode(wireFromJson(codec.descriptor, text));
}

/** One line of JSON. Throws MALFORMED as a decoder does. */
export function jsonFromWire(
  message: MessageInfo,
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): string {
  return printTree(message, treeOf(message, bytes, start, end), inSchema);
}

/** As {@link jsonFromWire}, with names in camel case, as Go's jsonpb prints them. */
export function camelCaseJsonFromWire(message: MessageInfo, bytes: Uint8Array): string {
  return printTree(message, treeOf(message, bytes, 0, bytes.length), jsonName);
}

function treeOf(message: MessageInfo, bytes: Uint8Array, start: number, end: number): Tree {
  const tree: Tree = new Map();
  reader.open(message, bytes, start, end, LENIENT, JSON_NESTING_MAX);
  readTree(message, tree);
  reader.close();
  return tree;
}

export function jsonFromMessage<T, Init>(codec: GeneratedCodec<T, Init>, message: T): string {
  return jsonFromWire(codec.descriptor, codec.encode(message));
}

function readTree(message: MessageInfo, tree: Tree): void {
  while (reader.pos < reader.limit) {
    const tag = reader.tag();
    const field = message.fieldByNumber(Math.floor(tag / 8));
    const isDelimited = (tag & 7) === 2;
    if (field === undefined || (!isDelimited && (tag & 7) !== 0)) reader.unknown(tag, message);
    else if (isDelimited === isDelimitedType(field)) readValue(message, field, tree);
    else if (isDelimited && field.repeated === true) readPacked(field, tree);
    else reader.unknown(tag, message);
  }
}

function isDelimitedType(field: FieldInfo): boolean {
  return field.type === 'string' || field.type === 'bytes' || field.type === 'message';
}

function readValue(message: MessageInfo, field: FieldInfo, tree: Tree): void {
  if (field.oneof !== undefined) {
    for (const other of message.fields) {
      if (other.oneof === field.oneof && other !== field) tree.delete(other.number);
    }
  }
  const before = tree.get(field.number);
  if (field.repeated === true) {
    const items = Array.isArray(before) ? before : [];
    items.push(field.message === undefined ? readScalar(field) : readMessage(field.message));
    tree.set(field.number, items);
  } else if (field.message === undefined) tree.set(field.number, readScalar(field));
  // Occurrences of a message merge.
  else
    tree.set(field.number, readMessage(field.message, before instanceof Map ? before : undefined));
}

function readMessage(message: MessageInfo, into: Tree = new Map()): Tree {
  const outer = reader.enter();
  readTree(message, into);
  reader.leave(outer);
  return into;
}

function readPacked(field: FieldInfo, tree: Tree): void {
  const before = tree.get(field.number);
  const items = Array.isArray(before) ? before : [];
  const outer = reader.enter();
  while (reader.pos < reader.limit) items.push(readScalar(field));
  reader.leave(outer);
  tree.set(field.number, items);
}

function readScalar(field: FieldInfo): Scalar {
  switch (field.type) {
    case 'bool':
      return reader.bool();
    case 'int32':
    case 'enum':
      return reader.int32();
    case 'uint32':
      return reader.uint32();
    case 'int64':
      return reader.int64Id();
    case 'uint64':
      return reader.uint64Id();
    case 'string':
      return reader.text();
    default:
      return reader.byteField();
  }
}

/** What a field is called. */
type Naming = (name: string) => string;

const inSchema: Naming = (name) => name;

function printTree(message: MessageInfo, tree: Tree, naming: Naming): string {
  let text = '';
  for (const field of message.fields) {
    const value = tree.get(field.number);
    if (value === undefined || (field.oneof === undefined && isZero(value))) continue;
    text += `${text === '' ? '{' : ','}"${naming(field.name)}":${printField(field, value, naming)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** Zero values are left out; a message is never one. */
function isZero(value: Value): boolean {
  if (value instanceof Map) return false;
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return value === 0 || value === 0n || value === false || value === '';
}

function printField(field: FieldInfo, value: Value, naming: Naming): string {
  if (!Array.isArray(value)) return printValue(field, value, naming);
  if (field.message?.isMapEntry === true) return printMap(field.message, value, naming);
  return `[${value.map((item) => printValue(field, item, naming)).join(',')}]`;
}

function printMap(entry: MessageInfo, items: readonly (Scalar | Tree)[], naming: Naming): string {
  const [, valueField] = entry.fields;
  const last = new Map<string, string>();
  for (const item of items) {
    if (!(item instanceof Map) || valueField === undefined) continue;
    const key = String(item.get(1) ?? '');
    const value = item.get(2);
    last.set(key, value === undefined ? '{}' : printField(valueField, value, naming));
  }
  const keys = [...last.keys()].sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${last.get(key)}`).join(',')}}`;
}

function printValue(field: FieldInfo, value: Scalar | Tree, naming: Naming): string {
  if (value instanceof Map)
    return field.message === undefined ? '{}' : printTree(field.message, value, naming);
  if (value instanceof Uint8Array) return `"${base64FromBytes(value)}"`;
  if (typeof value === 'bigint') return `"${value}"`;
  if (typeof value === 'string') return JSON.stringify(value);
  const name = typeof value === 'number' ? field.enum?.nameOf(value) : undefined;
  return name === undefined ? String(value) : `"${name}"`;
}
