// What messages look like, as data: for error texts, the JSON mapping and the check of which release
// first understood a field. Codecs do not consult it.

export const FIELD_TYPES = {
  BOOL: 'bool',
  INT32: 'int32',
  UINT32: 'uint32',
  INT64: 'int64',
  UINT64: 'uint64',
  ENUM: 'enum',
  STRING: 'string',
  BYTES: 'bytes',
  MESSAGE: 'message',
} as const;

export type FieldType = (typeof FIELD_TYPES)[keyof typeof FIELD_TYPES];

/** How a 64-bit integer appears in TypeScript; see the README. */
export type IntegerPolicy = 'count' | 'clamp' | 'id';

export interface FieldInfo {
  /** Field number on the wire. */
  readonly number: number;
  /** Name in the schema, such as `range_end`. */
  readonly name: string;
  /** Name of the property that holds the value; for a field of a oneof, its `case`. */
  readonly property: string;
  readonly type: FieldType;
  /** An array, or a Map if `message` is an entry with `isMapEntry`. */
  readonly repeated?: true;
  /** Name of the property of the oneof that the field belongs to. */
  readonly oneof?: string;
  /** Only for 64-bit integers; `count` if left out. */
  readonly integer?: IntegerPolicy;
  /** Only for type `message`. */
  readonly message?: MessageInfo;
  /** Only for type `enum`. */
  readonly enum?: EnumInfo;
  /** Oldest release that understands the field, such as `3.4`, where etcd states one. */
  readonly since?: string;
}

interface MessageOptions {
  /** Oldest release that understands the message, where etcd states one. */
  readonly since?: string;
  readonly isMapEntry?: true;
}

export class MessageInfo {
  /** Full protobuf name, such as `etcdserverpb.PutRequest`. */
  readonly name: string;
  readonly since: string | undefined;
  /** An entry of a map: field 1 is the key, field 2 the value. */
  readonly isMapEntry: boolean;
  readonly #build: () => readonly FieldInfo[];
  #fields: readonly FieldInfo[] | undefined;
  #byNumber: ReadonlyMap<number, FieldInfo> | undefined;

  /** `build` runs on first use: messages refer to each other. */
  constructor(name: string, build: () => readonly FieldInfo[], options: MessageOptions = {}) {
    this.name = name;
    this.since = options.since;
    this.isMapEntry = options.isMapEntry ?? false;
    this.#build = build;
  }

  /** In the order of their numbers. */
  get fields(): readonly FieldInfo[] {
    this.#fields ??= this.#build();
    return this.#fields;
  }

  fieldByNumber(number: number): FieldInfo | undefined {
    this.#byNumber ??= new Map(this.fields.map((field) => [field.number, field]));
    return this.#byNumber.get(number);
  }
}

export class EnumInfo {
  /** Full protobuf name, such as `etcdserverpb.AlarmType`. */
  readonly name: string;
  readonly since: string | undefined;
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #names: ReadonlyMap<number, string>;
  readonly #sinceByName: Readonly<Record<string, string>>;

  constructor(
    name: string,
    values: Readonly<Record<string, number>>,
    since?: string,
    sinceByName: Readonly<Record<string, string>> = {},
  ) {
    const entries = Object.entries(values);
    this.name = name;
    this.since = since;
    this.#numbers = new Map(entries);
    this.#names = new Map(entries.map(([value, number]) => [number, value]));
    this.#sinceByName = sinceByName;
  }

  nameOf(number: number): string | undefined {
    return this.#names.get(number);
  }

  numberOf(name: string): number | undefined {
    return this.#numbers.get(name);
  }

  /** Oldest release that understands the value, where etcd states one. */
  sinceOf(number: number): string | undefined {
    const name = this.#names.get(number);
    return name === undefined ? undefined : this.#sinceByName[name];
  }
}
