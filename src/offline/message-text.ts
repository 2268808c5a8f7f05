// Protocol messages as text for people: `put{key:"a" value:"b" lease:7}`. Fields with default values are left
// out, and secrets are not shown.

import { goQuote, utf8FromBytes } from '../base/index.ts';
import type { FieldInfo, MessageInfo } from '../protocol/index.ts';

const SECRETS: ReadonlySet<string> = new Set(['password', 'hashedPassword', 'simple_token']);
const HIDDEN = '***';

type Fields = Readonly<Record<string, unknown>>;

/** What is between the braces, without them; empty for a message of default values. */
export function messageText(info: MessageInfo, message: object): string {
  const parts: string[] = [];
  for (const field of info.fields) {
    const value = fieldValue(message as Fields, field);
    if (value === undefined) continue;
    const values = Array.isArray(value) ? (value as unknown[]) : [value];
    for (const one of values) parts.push(fieldText(field, one));
  }
  return parts.join(' ');
}

function fieldText(field: FieldInfo, value: unknown): string {
  const { name, message } = field;
  if (message !== undefined) return `${name}{${messageText(message, value as object)}}`;
  if (SECRETS.has(name)) return `${name}:${HIDDEN}`;
  if (field.enum !== undefined) {
    return `${name}:${field.enum.nameOf(value as number) ?? String(value)}`;
  }
  if (value instanceof Uint8Array) return `${name}:${bytesText(value)}`;
  return `${name}:${typeof value === 'string' ? goQuote(value) : String(value)}`;
}

/** Quoted if it is text, else in hexadecimal. */
export function bytesText(bytes: Uint8Array): string {
  const text = utf8FromBytes(bytes);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what makes it no text
  if (!/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text)) return goQuote(text);
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`;
}

/** Undefined for a default value. */
function fieldValue(message: Fields, { property, oneof }: FieldInfo): unknown {
  if (oneof !== undefined) {
    const chosen = message[oneof] as { readonly case: string; readonly value: unknown } | undefined;
    return chosen?.case === property ? chosen.value : undefined;
  }
  const value = message[property];
  const isEmpty = value instanceof Uint8Array || Array.isArray(value) ? value.length === 0 : !value;
  return isEmpty ? undefined : value;
}
