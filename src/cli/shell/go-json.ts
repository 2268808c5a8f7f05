// JSON as Go's encoding/json writes it: bytes in base64, integers whole, `<`, `>` and `&` escaped.

import type { MessageInfo } from '../../protocol/index.ts';

export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Json[]
  | JsonObject;

/** In order; a field that is undefined is left out. */
export interface JsonObject {
  readonly [name: string]: Json | undefined;
}

export function goJson(value: Json): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return goJsonString(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof Uint8Array) {
    return `"${Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64')}"`;
  }
  if (isList(value)) return `[${value.map(goJson).join(',')}]`;
  const fields = Object.entries(value).flatMap(([name, field]) =>
    field === undefined ? [] : [`${goJsonString(name)}:${goJson(field)}`],
  );
  return `{${fields.join(',')}}`;
}

function isList(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value);
}

function goJsonString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * A protocol message in the form of Go's structs: names of the schema, without zero values, enums as
 * numbers. Maps and fields of a oneof are not supported, since none is printed.
 */
export function jsonOfMessage(info: MessageInfo, message: object): JsonObject {
  const values = message as Readonly<Record<string, unknown>>;
  const result: Record<string, Json> = {};
  for (const field of info.fields) {
    const value = values[field.property];
    if (value === undefined || isZero(value)) continue;
    const { message: inner } = field;
    if (inner === undefined) result[field.name] = value as Json;
    else if (Array.isArray(value)) {
      result[field.name] = value.map((each: object) => jsonOfMessage(inner, each));
    } else result[field.name] = jsonOfMessage(inner, value as object);
  }
  return result;
}

function isZero(value: unknown): boolean {
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  return value === 0 || value === 0n || value === '' || value === false;
}
