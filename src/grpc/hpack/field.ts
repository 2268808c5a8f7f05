// One header field, checked once when it is made: a field in a table is used by many requests.

/**
 * Kinds of names with a meaning in HTTP/2 and gRPC: a switch over small integers instead of string
 * comparisons. Negative: pseudo-header fields. 0: any other name.
 */
export const FIELD_KINDS = {
  PSEUDO_UNKNOWN: -7,
  /** Extended CONNECT (RFC 8441). */
  PROTOCOL: -6,
  STATUS: -5,
  AUTHORITY: -4,
  SCHEME: -3,
  PATH: -2,
  METHOD: -1,
  OTHER: 0,
  CONTENT_TYPE: 1,
  CONTENT_LENGTH: 2,
  TE: 3,
  HOST: 4,
  USER_AGENT: 5,
  /** `connection`, `transfer-encoding` and the like: never allowed in HTTP/2. */
  CONNECTION_SPECIFIC: 6,
  GRPC_TIMEOUT: 7,
  GRPC_ENCODING: 8,
  GRPC_ACCEPT_ENCODING: 9,
  GRPC_STATUS: 10,
  GRPC_MESSAGE: 11,
  GRPC_MESSAGE_TYPE: 12,
} as const;

type FieldKind = (typeof FIELD_KINDS)[keyof typeof FIELD_KINDS];

const KIND_BY_NAME: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  [':method', FIELD_KINDS.METHOD],
  [':path', FIELD_KINDS.PATH],
  [':scheme', FIELD_KINDS.SCHEME],
  [':authority', FIELD_KINDS.AUTHORITY],
  [':status', FIELD_KINDS.STATUS],
  [':protocol', FIELD_KINDS.PROTOCOL],
  ['content-type', FIELD_KINDS.CONTENT_TYPE],
  ['content-length', FIELD_KINDS.CONTENT_LENGTH],
  ['te', FIELD_KINDS.TE],
  ['host', FIELD_KINDS.HOST],
  ['user-agent', FIELD_KINDS.USER_AGENT],
  ['connection', FIELD_KINDS.CONNECTION_SPECIFIC],
  ['proxy-connection', FIELD_KINDS.CONNECTION_SPECIFIC],
  ['keep-alive', FIELD_KINDS.CONNECTION_SPECIFIC],
  ['transfer-encoding', FIELD_KINDS.CONNECTION_SPECIFIC],
  ['upgrade', FIELD_KINDS.CONNECTION_SPECIFIC],
  ['grpc-timeout', FIELD_KINDS.GRPC_TIMEOUT],
  ['grpc-encoding', FIELD_KINDS.GRPC_ENCODING],
  ['grpc-accept-encoding', FIELD_KINDS.GRPC_ACCEPT_ENCODING],
  ['grpc-status', FIELD_KINDS.GRPC_STATUS],
  ['grpc-message', FIELD_KINDS.GRPC_MESSAGE],
  ['grpc-message-type', FIELD_KINDS.GRPC_MESSAGE_TYPE],
]);

/** What a table entry costs beyond its characters (RFC 7541 section 4.1). */
export const FIELD_OVERHEAD = 32;

/** A token (RFC 9110 section 5.6.2) without capitals; a colon only in front. */
const GOOD_NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** No control characters but tabs, as in Go; unlike RFC 9113, blanks at either end are accepted. */
function isGoodValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const char = value.charCodeAt(i);
    if ((char < 32 && char !== 9) || char === 127) return false;
  }
  return true;
}

export class HeaderField {
  /** One char per byte. */
  readonly name: string;
  readonly value: string;
  /** Name and value plus {@link FIELD_OVERHEAD}. */
  readonly size: number;
  readonly kind: FieldKind;
  /** False if a message with this field is malformed. */
  readonly valid: boolean;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.size = name.length + value.length + FIELD_OVERHEAD;
    const known = KIND_BY_NAME.get(name);
    if (known !== undefined) this.kind = known;
    else if (name.charCodeAt(0) === 0x3a) this.kind = FIELD_KINDS.PSEUDO_UNKNOWN;
    else this.kind = FIELD_KINDS.OTHER;
    this.valid = (known !== undefined || GOOD_NAME.test(name)) && isGoodValue(value);
  }
}
