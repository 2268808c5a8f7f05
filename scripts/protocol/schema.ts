// What a .proto file says, parsed but with type names as written.

export interface SchemaFile {
  /** Path below the schema folder, without `.proto`. */
  readonly path: string;
  readonly syntax: 'proto2' | 'proto3';
  readonly packageName: string;
  readonly messages: readonly SchemaMessage[];
  readonly enums: readonly SchemaEnum[];
  readonly services: readonly SchemaService[];
}

/** Values of custom options by their names without parentheses; each may be given more than once. */
export type SchemaOptions = ReadonlyMap<string, readonly string[]>;

export interface SchemaMessage {
  readonly name: string;
  /** The lines of comment above it, without slashes. */
  readonly comment: readonly string[];
  readonly options: SchemaOptions;
  readonly fields: readonly SchemaField[];
  readonly messages: readonly SchemaMessage[];
  readonly enums: readonly SchemaEnum[];
}

export interface SchemaField {
  readonly name: string;
  readonly comment: readonly string[];
  readonly number: number;
  /** As written; for a map, that of its value. */
  readonly type: string;
  /** Set for a map: the type of its key. */
  readonly keyType: string | undefined;
  readonly repeated: boolean;
  readonly oneof: string | undefined;
  readonly options: SchemaOptions;
}

export interface SchemaEnum {
  readonly name: string;
  readonly comment: readonly string[];
  readonly options: SchemaOptions;
  readonly values: readonly SchemaEnumValue[];
}

export interface SchemaEnumValue {
  readonly name: string;
  readonly number: number;
  readonly options: SchemaOptions;
}

export interface SchemaService {
  readonly name: string;
  readonly comment: readonly string[];
  readonly methods: readonly SchemaMethod[];
}

export interface SchemaMethod {
  readonly name: string;
  readonly comment: readonly string[];
  readonly request: string;
  readonly response: string;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  readonly options: SchemaOptions;
}
