// Metadata read from a header list on demand.

import { FIELD_KINDS, type HeaderField } from './hpack/index.ts';
import { decodeBinaryValue, type Metadata, PairMetadata } from './metadata.ts';

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
export function metadataFromFields(fields: readonly HeaderField[]): Metadata {
  const pairs: Array<readonly [string, string]> = [];
  for (const field of fields) if (isMetadata(field)) pairs.push([field.name, field.value]);
  return new PairMetadata(pairs);
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
