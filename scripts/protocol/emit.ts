// The few things all emitters need.

import { type Field, isEnum, isMessage, type Message } from './resolve.ts';

/** Width that generated code keeps to, as hand-written code does. */
export const LINE_CHARS_MAX = 100;

export function indent(lines: readonly string[], by = '  '): string[] {
  return lines.map((line) => (line === '' ? '' : by + line));
}

export function docComment(lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  if (lines.length === 1) return [`/** ${lines[0]} */`];
  return ['/**', ...lines.map((line) => ` * ${line}`), ' */'];
}

/** `head(item, item)tail` on one line if it fits, else an item a line. */
export function list(head: string, items: readonly string[], tail: string): string[] {
  const flat = `${head}${items.join(', ')}${tail}`;
  if (flat.length <= LINE_CHARS_MAX) return [flat];
  return [head.trimEnd(), ...items.map((item) => `  ${item},`), tail.trimStart()];
}

export function byNumber(message: Message): Field[] {
  return [...message.fields].sort((a, b) => a.number - b.number);
}

export function isBigint(field: Field): boolean {
  return field.integer === 'id';
}

/** Type of one value of the field. */
export function valueType(field: Field): string {
  const { type } = field;
  if (isMessage(type)) return type.name;
  if (isEnum(type)) return 'number';
  if (type === 'bool') return 'boolean';
  if (type === 'string') return 'string';
  if (type === 'bytes') return 'Uint8Array';
  return isBigint(field) ? 'bigint' : 'number';
}

export function zeroValue(field: Field): string {
  const { type } = field;
  if (isMessage(type) || field.presence) return 'undefined';
  if (isEnum(type)) return '0';
  if (type === 'bool') return 'false';
  if (type === 'string') return "''";
  if (type === 'bytes') return 'EMPTY_BYTES';
  return isBigint(field) ? '0n' : '0';
}

/** The map entry that the field repeats, if it is a map. */
export function mapEntry(field: Field): Message | undefined {
  return isMessage(field.type) && field.type.isMapEntry ? field.type : undefined;
}

/** 0 varint, 2 length-delimited. */
export function wireType(field: Field): 0 | 2 {
  return isMessage(field.type) || field.type === 'string' || field.type === 'bytes' ? 2 : 0;
}

/** Fields of a oneof appear as one group; `undefined` groups hold one field of no oneof. */
export interface FieldGroup {
  readonly oneof: string | undefined;
  readonly fields: readonly Field[];
}

/** Groups in the order given; fields of a oneof must stand together in it. */
export function groups(fields: readonly Field[]): FieldGroup[] {
  const result: { oneof: string | undefined; fields: Field[] }[] = [];
  for (const field of fields) {
    const last = result.at(-1);
    if (field.oneof !== undefined && last?.oneof === field.oneof) last.fields.push(field);
    else result.push({ oneof: field.oneof, fields: [field] });
  }
  const oneofs = result.map((group) => group.oneof).filter((oneof) => oneof !== undefined);
  if (new Set(oneofs).size !== oneofs.length) throw new Error(`oneof ${oneofs} is interleaved`);
  return result;
}
