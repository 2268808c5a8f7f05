// From parsed schemas to what the emitters need: TypeScript names, resolved types, options read.

import { propertyName, upperFirst } from './names.ts';
import type {
  SchemaEnum,
  SchemaField,
  SchemaFile,
  SchemaMessage,
  SchemaOptions,
  SchemaService,
} from './schema.ts';

export interface Module {
  /** Path of the schema, without `.proto`. */
  readonly path: string;
  readonly packageName: string;
  readonly messages: Message[];
  readonly enums: Enum[];
  readonly services: readonly Service[];
}

export interface Message {
  readonly fullName: string;
  /** Name of the interface. */
  readonly name: string;
  readonly modulePath: string;
  readonly comment: readonly string[];
  readonly since: string | undefined;
  readonly collectUnknown: boolean;
  readonly isMapEntry: boolean;
  /** In schema order, which is the order of properties. Filled after all names are known. */
  readonly fields: Field[];
}

export interface Enum {
  readonly fullName: string;
  readonly name: string;
  readonly modulePath: string;
  readonly comment: readonly string[];
  readonly since: string | undefined;
  readonly values: readonly { name: string; number: number; since: string | undefined }[];
}

export type ScalarType = 'bool' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'string' | 'bytes';

export interface Field {
  readonly number: number;
  readonly name: string;
  readonly property: string;
  readonly comment: readonly string[];
  readonly type: ScalarType | Message | Enum;
  readonly integer: 'count' | 'clamp' | 'id';
  readonly repeated: boolean;
  /** Repeated numbers: one length-delimited field rather than a field each. */
  readonly packed: boolean;
  /** Property of the oneof. */
  readonly oneof: string | undefined;
  readonly always: boolean;
  readonly presence: boolean;
  readonly since: string | undefined;
}

export interface Service {
  readonly fullName: string;
  readonly name: string;
  readonly comment: readonly string[];
  readonly methods: readonly Method[];
}

export interface Method {
  readonly name: string;
  readonly comment: readonly string[];
  readonly request: Message;
  readonly response: Message;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  readonly httpPosts: readonly string[];
}

const SCALARS: ReadonlySet<string> = new Set([
  'bool',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'string',
  'bytes',
]);

export function isMessage(type: Field['type']): type is Message {
  return typeof type === 'object' && 'fields' in type;
}

export function isEnum(type: Field['type']): type is Enum {
  return typeof type === 'object' && 'values' in type;
}

function single(options: SchemaOptions, name: string): string | undefined {
  return options.get(name)?.[0];
}

/** Two passes over all files: first the names, then the fields that refer to them. */
export function resolve(files: readonly SchemaFile[]): Module[] {
  const resolver = new Resolver(files);
  return resolver.modules;
}

class Resolver {
  readonly modules: Module[] = [];
  readonly #types = new Map<string, Message | Enum>();
  /** How often a package declares a name, nested or not. */
  readonly #uses = new Map<string, number>();

  constructor(files: readonly SchemaFile[]) {
    for (const file of files) {
      for (const name of declaredNames(file)) {
        const key = `${file.packageName} ${name}`;
        this.#uses.set(key, (this.#uses.get(key) ?? 0) + 1);
      }
    }
    const pending: (() => void)[] = [];
    for (const file of files) {
      const module: Module = {
        path: file.path,
        packageName: file.packageName,
        messages: [],
        enums: [],
        services: [],
      };
      for (const schema of file.enums) this.#declareEnum(module, schema, []);
      for (const schema of file.messages) this.#declare(file, module, schema, [], pending);
      this.modules.push(module);
    }
    for (const fill of pending) fill();
    for (const [i, file] of files.entries()) {
      const services = file.services.map((schema) => this.#service(file.packageName, schema));
      this.modules[i] = { ...this.modules[i]!, services };
    }
  }

  #name(packageName: string, outer: readonly string[], name: string): string {
    const clashes = (this.#uses.get(`${packageName} ${name}`) ?? 0) > 1;
    return upperFirst(clashes && outer.length > 0 ? [...outer, name].join('_') : name);
  }

  #declareEnum(module: Module, schema: SchemaEnum, outer: readonly string[]): void {
    const fullName = [module.packageName, ...outer, schema.name].join('.');
    const declared: Enum = {
      fullName,
      name: this.#name(module.packageName, outer, schema.name),
      modulePath: module.path,
      comment: schema.comment,
      since: single(schema.options, 'versionpb.etcd_version_enum'),
      values: schema.values.map((value) => ({
        name: value.name,
        number: value.number,
        since: single(value.options, 'versionpb.etcd_version_enum_value'),
      })),
    };
    module.enums.push(declared);
    this.#types.set(fullName, declared);
  }

  #declare(
    file: SchemaFile,
    module: Module,
    schema: SchemaMessage,
    outer: readonly string[],
    pending: (() => void)[],
  ): void {
    const path = [...outer, schema.name];
    const fullName = [module.packageName, ...path].join('.');
    const message: Message = {
      fullName,
      name: this.#name(module.packageName, outer, schema.name),
      modulePath: module.path,
      comment: schema.comment,
      since: single(schema.options, 'versionpb.etcd_version_msg'),
      collectUnknown: single(schema.options, 'tetcd.collect_unknown') === 'true',
      isMapEntry: false,
      fields: [],
    };
    this.#types.set(fullName, message);
    for (const inner of schema.enums) this.#declareEnum(module, inner, path);
    for (const inner of schema.messages) this.#declare(file, module, inner, path, pending);
    module.messages.push(message);
    pending.push(() => {
      for (const field of schema.fields) {
        message.fields.push(this.#field(file, module, message, field));
      }
      checkNumbers(message);
    });
  }

  #field(file: SchemaFile, module: Module, owner: Message, schema: SchemaField): Field {
    const { options } = schema;
    let type = this.#type(owner.fullName, schema.type);
    if (schema.keyType !== undefined) type = this.#mapEntry(module, owner, schema, type);
    const integer = (single(options, 'tetcd.integer') ?? 'COUNT').toLowerCase();
    if (integer !== 'count' && integer !== 'clamp' && integer !== 'id') {
      throw new Error(`${owner.fullName}.${schema.name}: integer ${integer}`);
    }
    if (integer !== 'count' && type !== 'int64' && !(type === 'uint64' && integer === 'id')) {
      throw new Error(`${owner.fullName}.${schema.name}: no 64-bit integer to treat as ${integer}`);
    }
    const repeated = schema.repeated || schema.keyType !== undefined;
    const isNumber = isEnum(type) || (!isMessage(type) && type !== 'string' && type !== 'bytes');
    return {
      number: schema.number,
      name: schema.name,
      property: propertyName(schema.name),
      comment: schema.comment,
      type,
      integer,
      repeated,
      packed: repeated && isNumber && file.syntax === 'proto3',
      oneof: schema.oneof === undefined ? undefined : propertyName(schema.oneof),
      always: single(options, 'tetcd.always') === 'true',
      presence: single(options, 'tetcd.presence') === 'true',
      since: single(options, 'versionpb.etcd_version_field'),
    };
  }

  /** The message that stands for an entry on the wire: field 1 the key, field 2 the value. */
  #mapEntry(module: Module, owner: Message, schema: SchemaField, value: Field['type']): Message {
    const plain = {
      comment: [],
      integer: 'count',
      repeated: false,
      packed: false,
      oneof: undefined,
      always: true,
      presence: false,
      since: undefined,
    } as const;
    const keyType = this.#type(owner.fullName, schema.keyType!);
    if (keyType !== 'string' || !isMessage(value)) {
      throw new Error(`${owner.fullName}.${schema.name}: only maps of string to message`);
    }
    const suffix = `${upperFirst(propertyName(schema.name))}Entry`;
    const entry: Message = {
      fullName: `${owner.fullName}.${suffix}`,
      name: `${owner.name}_${suffix}`,
      modulePath: module.path,
      comment: [],
      since: undefined,
      collectUnknown: false,
      isMapEntry: true,
      fields: [
        { ...plain, number: 1, name: 'key', property: 'key', type: keyType },
        { ...plain, number: 2, name: 'value', property: 'value', type: value, always: false },
      ],
    };
    module.messages.push(entry);
    return entry;
  }

  /** Looks the name up in the scope of `scope`, then in each one around it. */
  #type(scope: string, name: string): Field['type'] {
    if (SCALARS.has(name)) return name as ScalarType;
    const parts = scope.split('.');
    for (let count = parts.length; count >= 0; count--) {
      const found = this.#types.get([...parts.slice(0, count), name].join('.'));
      if (found !== undefined) return found;
    }
    throw new Error(`${scope}: unknown type ${name}`);
  }

  #service(packageName: string, schema: SchemaService): Service {
    const message = (name: string): Message => {
      const type = this.#type(packageName, name);
      if (!isMessage(type)) throw new Error(`${packageName}.${schema.name}: ${name} is no message`);
      return type;
    };
    return {
      fullName: `${packageName}.${schema.name}`,
      name: schema.name,
      comment: schema.comment,
      methods: schema.methods.map((method) => ({
        name: method.name,
        comment: method.comment,
        request: message(method.request),
        response: message(method.response),
        clientStreaming: method.clientStreaming,
        serverStreaming: method.serverStreaming,
        httpPosts: method.options.get('tetcd.http_post') ?? [],
      })),
    };
  }
}

function declaredNames(file: SchemaFile): string[] {
  const ofMessage = (message: SchemaMessage): string[] => [
    message.name,
    ...message.enums.map((inner) => inner.name),
    ...message.messages.flatMap(ofMessage),
  ];
  return [...file.enums.map((inner) => inner.name), ...file.messages.flatMap(ofMessage)];
}

function checkNumbers(message: Message): void {
  const seen = new Set<number>();
  for (const field of message.fields) {
    if (seen.has(field.number)) throw new Error(`${message.fullName}: two fields ${field.number}`);
    seen.add(field.number);
  }
}
