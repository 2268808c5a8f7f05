// The functions that size and write a message. Writing goes from back to front: see
// src/protocol/wire/writer.ts.

import { byNumber, type FieldGroup, groups, indent, isBigint, mapEntry, wireType } from './emit.ts';
import { type Field, isEnum, isMessage, type Message } from './resolve.ts';

export function emitSize(message: Message): string[] {
  const { name } = message;
  const head = `export function size${name}(${message.fields.length === 0 ? '_m' : 'm'}: ${name}): number {`;
  if (message.fields.length === 0) return [head, '  return 0;', '}'];
  const body = groups(byNumber(message)).flatMap((group) => sizeGroup(group));
  return [head, '  let n = 0;', ...indent(body), '  return n;', '}'];
}

export function emitPut(message: Message): string[] {
  const { name } = message;
  const head = `export function put${name}`;
  if (message.fields.length === 0) {
    return [`${head}(_m: ${name}, _t: Uint8Array, end: number): number {`, '  return end;', '}'];
  }
  const body = groups(byNumber(message))
    .reverse()
    .flatMap((group) => putGroup(group));
  return [
    `${head}(m: ${name}, t: Uint8Array, end: number): number {`,
    '  let o = end;',
    ...indent(body),
    '  return o;',
    '}',
  ];
}

function sizeGroup(group: FieldGroup): string[] {
  if (group.oneof !== undefined)
    return oneofSwitch(group, (field) => [`n += ${sizeOne(field, 'choice.value')};`]);
  const field = group.fields[0]!;
  const value = `m.${field.property}`;
  if (mapEntry(field) !== undefined) {
    return [`for (const [key, value] of ${value}) n += ${sizeOne(field, '{ key, value }')};`];
  }
  if (field.packed) {
    return [
      `if (${value}.length !== 0) {`,
      '  let size = 0;',
      `  for (const item of ${value}) size += ${sizeScalar(field, 'item')};`,
      `  n += ${tagBytes(field.number, 2).length} + sizeOfDelimited(size);`,
      '}',
    ];
  }
  if (field.repeated) return [`for (const item of ${value}) n += ${sizeOne(field, 'item')};`];
  return [`${condition(field, value)}n += ${sizeOne(field, value)};`];
}

function putGroup(group: FieldGroup): string[] {
  if (group.oneof !== undefined)
    return oneofSwitch(group, (field) => putOne(field, 'choice.value'));
  const field = group.fields[0]!;
  const value = `m.${field.property}`;
  if (mapEntry(field) !== undefined) {
    return [
      `for (const [key, value] of [...${value}].reverse()) {`,
      ...indent(putOne(field, '{ key, value }')),
      '}',
    ];
  }
  if (field.packed) {
    return [
      `if (${value}.length !== 0) {`,
      '  const stop = o;',
      `  for (let i = ${value}.length - 1; i >= 0; i--) {`,
      ...indent(putScalar(field, `${value}[i]!`), '    '),
      '  }',
      '  o = putInt(stop - o, t, o);',
      ...indent(putTag(field.number, 2)),
      '}',
    ];
  }
  if (field.repeated) {
    return [
      `for (let i = ${value}.length - 1; i >= 0; i--) {`,
      ...indent(putOne(field, `${value}[i]!`)),
      '}',
    ];
  }
  const statements = putOne(field, value);
  const test = condition(field, value);
  if (test === '') return isMessage(field.type) ? ['{', ...indent(statements), '}'] : statements;
  return [`${test}{`, ...indent(statements), '}'];
}

function oneofSwitch(group: FieldGroup, emit: (field: Field) => string[]): string[] {
  const lines = [
    `if (m.${group.oneof} !== undefined) {`,
    `  const choice = m.${group.oneof};`,
    '  switch (choice.case) {',
  ];
  for (const field of group.fields) {
    const statements = emit(field);
    const block = statements.some((line) => line.startsWith('const ')) ? ' {' : '';
    lines.push(
      `    case '${field.property}':${block}`,
      ...indent(statements, '      '),
      '      break;',
    );
    if (block !== '') lines.push('    }');
  }
  return [...lines, '  }', '}'];
}

/** What must hold for a field of no oneof to be written, as an `if`; empty if it always is. */
function condition(field: Field, value: string): string {
  if (isMessage(field.type) || field.presence) return `if (${value} !== undefined) `;
  if (field.always) return '';
  if (isEnum(field.type)) return `if (${value} !== 0) `;
  if (field.type === 'bool') return `if (${value}) `;
  if (field.type === 'string') return `if (${value} !== '') `;
  if (field.type === 'bytes') return `if (${value}.length !== 0) `;
  return `if (${value} !== ${isBigint(field) ? '0n' : '0'}) `;
}

/** Size of one occurrence, tag included. */
function sizeOne(field: Field, value: string): string {
  const tagSize = tagBytes(field.number, wireType(field)).length;
  if (field.type === 'bool') return `${tagSize + 1}`;
  return `${tagSize} + ${sizeScalar(field, value)}`;
}

function sizeScalar(field: Field, value: string): string {
  const { type } = field;
  if (isMessage(type)) return `sizeOfDelimited(size${type.name}(${value}))`;
  if (isEnum(type) || type === 'int32') return `sizeOfInt(${value})`;
  if (type === 'string') return `sizeOfString(${value})`;
  if (type === 'bytes') return `sizeOfDelimited(${value}.length)`;
  if (type === 'bool') return '1';
  if (isBigint(field)) return `sizeOfBig(${value})`;
  return type === 'int64' ? `sizeOfInt(${value})` : `sizeOfUint(${value})`;
}

function putOne(field: Field, value: string): string[] {
  return [...putScalar(field, value), ...putTag(field.number, wireType(field))];
}

function putScalar(field: Field, value: string): string[] {
  const { type } = field;
  if (isMessage(type)) {
    return [
      'const stop = o;',
      `o = put${type.name}(${value}, t, o);`,
      'o = putInt(stop - o, t, o);',
    ];
  }
  if (isEnum(type)) return [`o = putInt(${value}, t, o);`];
  if (type === 'bool') return [`t[--o] = ${value} ? 1 : 0;`];
  if (type === 'string') return [`o = putString(${value}, t, o);`];
  if (type === 'bytes') return [`o = putBytes(${value}, t, o);`];
  return [`o = ${isBigint(field) ? 'putBig' : 'putInt'}(${value}, t, o);`];
}

function putTag(number: number, type: number): string[] {
  return tagBytes(number, type)
    .reverse()
    .map((byte) => `t[--o] = ${byte};`);
}

function tagBytes(number: number, type: number): number[] {
  const bytes: number[] = [];
  let rest = number * 8 + type;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}
