// Metadata read from a header list on demand. Hot: a member looks at it for every request, so that
// nothing is made but the view.

import { FIELD_KINDS, type HeaderField } from './hpack/index.ts';
import { decodeBinaryValue, type Metadata } from './metadata.ts';

/** Whether a received field is metadata: not a pseudo-header, and not gRPC's own. */
function isMetadata(field: HeaderField): boolean {
  switch (field.kind) {
    case FIELD_KINDS.OTHER:
    case FIELD_KINDS.AUTHORITY:
    case FIELD_KINDS.USER_AGENT:
    case FIELD_KINDS.CONTENT_TYPE:
    case FIELD_KINDS.GRPC_ACCEPT_ENCODING:
      return true;
    default:
      return false;
  }
}

/** The metadata in a header list; `:authority`, `user-agent` and `content-type` are visible in it. */
export class FieldMetadata implements Metadata {
  readonly #fields: readonly HeaderField[];

  constructor(fields: readonly HeaderField[]) {
    this.#fields = fields;
  }

  get(name: string): string | undefined {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      if (field.name === name && isMetadata(field)) return field.value;
    }
    return undefined;
  }

  getAll(name: string): readonly string[] {
    return this.entries()
      .filter((entry) => entry[0] === name)
      .map((entry) => entry[1]);
  }

  getBytes(name: string): Uint8Array | undefined {
    const text = this.get(name);
    return text === undefined ? undefined : decodeBinaryValue(text);
  }

  entries(): ReadonlyArray<readonly [string, string]> {
    return this.#fields.filter(isMetadata).map(({ name, value }) => [name, value] as const);
  }
}

/** The first field whose binary value is not base64, if any. */
export function malformedBinaryField(fields: readonly HeaderField[]): HeaderField | undefined {
  return fields.find(
    (field) =>
      field.kind === FIELD_KINDS.OTHER &&
      field.name.endsWith('-bin') &&
      decodeBinaryValue(field.value) === undefined,
  );
}
