// Interfaces, enums, and the functions that make a message with nothing or something set.

import { docComment, groups, indent, mapEntry, valueType, zeroValue } from './emit.ts';
import { type Enum, type Field, isMessage, type Message } from './resolve.ts';

export function emitEnum(declared: Enum): string[] {
  const { name } = declared;
  return [
    ...docComment(declared.comment),
    `export const ${name} = {`,
    ...declared.values.map((value) => `  ${value.name}: ${value.number},`),
    '} as const;',
    `export type ${name} = (typeof ${name})[keyof typeof ${name}];`,
  ];
}

export function emitInterface(message: Message): string[] {
  const { name } = message;
  const init = `export type ${name}Init = Partial<${name}>;`;
  const note = docComment(message.comment);
  if (message.fields.length === 0) {
    return [...note, `export type ${name} = Record<string, never>;`, init];
  }
  return [...note, `export interface ${name} {`, ...indent(properties(message)), '}', init];
}

function properties(message: Message): string[] {
  const lines: string[] = [];
  for (const group of groups(message.fields)) {
    if (group.oneof === undefined) {
      const field = group.fields[0]!;
      lines.push(...docComment(field.comment), `${field.property}: ${propertyType(field)};`);
      continue;
    }
    lines.push(...docComment(group.fields[0]!.comment), `${group.oneof}:`);
    for (const field of group.fields) {
      lines.push(`  | { case: '${field.property}'; value: ${valueType(field)} }`);
    }
    lines.push('  | undefined;');
  }
  if (message.collectUnknown) {
    lines.push(
      '/** Numbers of the unknown fields that a decode met. */',
      'unknownFields: number[];',
    );
  }
  return lines;
}

function propertyType(field: Field): string {
  const entry = mapEntry(field);
  if (entry !== undefined) {
    return `Map<${valueType(entry.fields[0]!)}, ${valueType(entry.fields[1]!)}>`;
  }
  const type = valueType(field);
  if (field.repeated) return `${type}[]`;
  return isMessage(field.type) || field.presence ? `${type} | undefined` : type;
}

/** Name and blank value of each property, in order. */
function blanks(message: Message): [string, string][] {
  const result = groups(message.fields).map((group): [string, string] => {
    if (group.oneof !== undefined) return [group.oneof, 'undefined'];
    const field = group.fields[0]!;
    if (mapEntry(field) !== undefined) return [field.property, 'new Map()'];
    return [field.property, field.repeated ? '[]' : zeroValue(field)];
  });
  if (message.collectUnknown) result.push(['unknownFields', '[]']);
  return result;
}

export function emitCreate(message: Message): string[] {
  const { name } = message;
  const all = blanks(message);
  const fresh = `export function blank${name}(): ${name} {`;
  const create = `function create${name}(init: ${name}Init): ${name} {`;
  if (all.length === 0) {
    return [fresh, '  return {};', '}', '', create.replace('(init', '(_init'), '  return {};', '}'];
  }
  return [
    fresh,
    '  return {',
    ...all.map(([property, blank]) => `    ${property}: ${blank},`),
    '  };',
    '}',
    '',
    create,
    '  return {',
    ...all.map(([property, blank]) =>
      blank === 'undefined'
        ? `    ${property}: init.${property},`
        : `    ${property}: init.${property} ?? ${blank},`,
    ),
    '  };',
    '}',
  ];
}
