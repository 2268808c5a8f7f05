// What generated modules hold as data: descriptors of messages, enums and services.

import { byNumber, docComment, indent, list } from './emit.ts';
import { lowerFirst } from './names.ts';
import {
  type Enum,
  type Field,
  isEnum,
  isMessage,
  type Message,
  type Method,
  type Service,
} from './resolve.ts';

export function emitEnumDescriptor(declared: Enum): string[] {
  const args = [`'${declared.fullName}'`, declared.name];
  const since = declared.values.filter((value) => value.since !== undefined);
  if (declared.since !== undefined || since.length > 0) {
    args.push(declared.since === undefined ? 'undefined' : `'${declared.since}'`);
  }
  if (since.length > 0) {
    args.push(`{ ${since.map((value) => `${value.name}: '${value.since}'`).join(', ')} }`);
  }
  return list(`export const ${declared.name}Descriptor = new EnumInfo(`, args, ');');
}

export function emitDescriptor(message: Message): string[] {
  const { name } = message;
  const options: string[] = [];
  if (message.since !== undefined) options.push(`since: '${message.since}'`);
  if (message.isMapEntry) options.push('isMapEntry: true');
  const fields = byNumber(message);
  const head = `export const ${name}Descriptor: MessageInfo = new MessageInfo(`;
  const build =
    fields.length === 0
      ? ['() => [],']
      : ['() => [', ...indent(fields.flatMap(emitFieldDescriptor)), '],'];
  return [
    head,
    ...indent([
      `'${message.fullName}',`,
      ...build,
      ...(options.length > 0 ? [`{ ${options.join(', ')} },`] : []),
    ]),
    ');',
  ];
}

function emitFieldDescriptor(field: Field): string[] {
  const { type } = field;
  const items = [
    `number: ${field.number}`,
    `name: '${field.name}'`,
    `property: '${field.property}'`,
    `type: '${isMessage(type) ? 'message' : isEnum(type) ? 'enum' : type}'`,
  ];
  if (field.repeated) items.push('repeated: true');
  if (field.oneof !== undefined) items.push(`oneof: '${field.oneof}'`);
  if (field.integer !== 'count') items.push(`integer: '${field.integer}'`);
  if (isMessage(type)) items.push(`message: ${type.name}Descriptor`);
  if (isEnum(type)) items.push(`enum: ${type.name}Descriptor`);
  if (field.since !== undefined) items.push(`since: '${field.since}'`);
  return list('{ ', items, ' },').map((line, i, all) => (all.length > 1 && i === 0 ? '{' : line));
}

export function emitCodec(message: Message): string[] {
  const { name } = message;
  return [
    `export const ${name}Codec = new GeneratedCodec<${name}, ${name}Init>(${name}Descriptor, {`,
    ...['create', 'blank', 'read', 'size', 'put'].map((verb) => `  ${verb}: ${verb}${name},`),
    '});',
  ];
}

export function emitService(service: Service): string[] {
  return [
    ...docComment(service.comment),
    `export const ${service.name}Service = {`,
    `  name: '${service.fullName}',`,
    '  methods: {',
    ...service.methods.flatMap((method) => indent(emitMethod(service, method), '    ')),
    '  },',
    '} as const satisfies ServiceDescriptor;',
  ];
}

function emitMethod(service: Service, method: Method): string[] {
  return [
    ...docComment(method.comment),
    `${lowerFirst(method.name)}: {`,
    `  name: '${method.name}',`,
    `  path: '/${service.fullName}/${method.name}',`,
    `  request: ${method.request.name}Codec,`,
    `  response: ${method.response.name}Codec,`,
    `  clientStreaming: ${method.clientStreaming},`,
    `  serverStreaming: ${method.serverStreaming},`,
    `  httpPosts: [${method.httpPosts.map((path) => `'${path}'`).join(', ')}],`,
    '},',
  ];
}
