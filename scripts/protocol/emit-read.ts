// The function that reads a message.

import { byNumber, isBigint, mapEntry, wireType } from './emit.ts';
import { type Field, isEnum, isMessage, type Message } from './resolve.ts';

export function emitRead(message: Message): string[] {
  const { name } = message;
  return [
    `export function read${name}(r: Reader, into: ${name} | undefined): ${name} {`,
    `  const m = into ?? blank${name}();`,
    '  while (r.pos < r.limit) {',
    '    const tag = r.tag();',
    '    switch (tag) {',
    ...byNumber(message).flatMap(readField),
    '      default:',
    `        r.unknown(tag, ${name}Descriptor);`,
    ...(message.collectUnknown ? ['        m.unknownFields.push(Math.floor(tag / 8));'] : []),
    '    }',
    '  }',
    '  return m;',
    '}',
  ];
}

function readField(field: Field): string[] {
  const lines = readCase(field, wireType(field), fieldStatements(field));
  if (!field.repeated || wireType(field) === 2) return lines;
  // Writers may pack numbers or not; readers take both.
  return [
    ...lines,
    ...readCase(field, 2, [
      'const outer = r.enter();',
      `while (r.pos < r.limit) m.${field.property}.push(${readScalar(field)});`,
      'r.leave(outer);',
    ]),
  ];
}

function readCase(field: Field, type: number, statements: readonly string[]): string[] {
  const tag = field.number * 8 + type;
  const needsBlock = statements.some((line) => line.startsWith('const '));
  return [
    `      case ${tag}:${needsBlock ? ' {' : ''}`,
    ...statements.map((line) => `        ${line}`),
    '        break;',
    ...(needsBlock ? ['      }'] : []),
  ];
}

function fieldStatements(field: Field): string[] {
  const target = `m.${field.oneof ?? field.property}`;
  const { type } = field;
  if (!isMessage(type)) {
    const value = readScalar(field);
    if (field.repeated) return [`${target}.push(${value});`];
    if (field.oneof !== undefined) {
      return [`${target} = { case: '${field.property}', value: ${value} };`];
    }
    return [`${target} = ${value};`];
  }
  const enter = 'const outer = r.enter();';
  const leave = 'r.leave(outer);';
  const entry = mapEntry(field);
  if (entry !== undefined) {
    const value = entry.fields[1]!.type as Message;
    return [
      enter,
      `const entry = read${type.name}(r, undefined);`,
      `${target}.set(entry.key, entry.value ?? blank${value.name}());`,
      leave,
    ];
  }
  if (field.repeated) return [enter, `${target}.push(read${type.name}(r, undefined));`, leave];
  if (field.oneof === undefined)
    return [enter, `${target} = read${type.name}(r, ${target});`, leave];
  const before = [
    `const before = ${target}?.case === '${field.property}' ? ${target}.value : undefined;`,
    'if (before !== undefined) r.mergesChoice();',
  ];
  if (reaches(type, type)) {
    // The bound of what a decoder holds on the stack; see `Reader.nested`.
    return [
      ...before,
      `const value = before ?? blank${type.name}();`,
      `${target} = { case: '${field.property}', value };`,
      `r.nested(read${type.name}, value);`,
    ];
  }
  return [
    enter,
    ...before,
    `${target} = { case: '${field.property}', value: read${type.name}(r, before) };`,
    leave,
  ];
}

/** Whether a message of type `to` may lie within one of type `from`. */
function reaches(from: Message, to: Message, seen = new Set<Message>()): boolean {
  if (seen.has(from)) return false;
  seen.add(from);
  return from.fields.some(
    ({ type }) => isMessage(type) && (type === to || reaches(type, to, seen)),
  );
}

function readScalar(field: Field): string {
  const { type } = field;
  if (isMessage(type)) throw new Error(`${field.name} is no scalar`);
  if (isEnum(type)) return 'r.int32()';
  switch (type) {
    case 'bool':
      return 'r.bool()';
    case 'int32':
      return 'r.int32()';
    case 'uint32':
      return 'r.uint32()';
    case 'string':
      return 'r.text()';
    case 'bytes':
      return 'r.byteField()';
    case 'int64':
      if (isBigint(field)) return 'r.int64Id()';
      return field.integer === 'clamp' ? 'r.int64Clamp()' : 'r.int64Count()';
    case 'uint64':
      return isBigint(field) ? 'r.uint64Id()' : 'r.uint64Count()';
  }
}
