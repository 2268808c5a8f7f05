// The head of a request, made once per header list and shared by all requests with the same bytes:
// everything about it that does not depend on the stream. Order of checks as in grpc-go's server.

import { ERROR_CODES, hasCode } from '../base/index.ts';
import { IDENTITY } from './gzip.ts';
import { FIELD_KINDS, type HeaderField } from './hpack/index.ts';
import { decodeBinaryValue } from './metadata.ts';
import { STATUS, type StatusCode } from './status.ts';
import { parseTimeout } from './timeout.ts';

/** What is to be done with a request. */
export const HEAD_KINDS = {
  /** A call. */
  GRPC: 0,
  /** A request that is not gRPC. */
  RAW: 1,
  /** Malformed (RFC 9113 section 8.1.1): reset with PROTOCOL_ERROR. */
  MALFORMED: 2,
  /** Answered at once with `httpStatus`, `status` and `message`. */
  REFUSED: 3,
  /** Trailers, if it came on an open stream: no pseudo-header fields. */
  TRAILERS: 4,
} as const;

export type HeadKind = (typeof HEAD_KINDS)[keyof typeof HEAD_KINDS];

export class RequestHead {
  kind: HeadKind = HEAD_KINDS.GRPC;
  method = '';
  scheme = '';
  path = '';
  /** Undefined if neither `:authority` nor `host` came. */
  authority: string | undefined = undefined;
  /** From `grpc-timeout`; Infinity without one. */
  timeoutMs: number = Number.POSITIVE_INFINITY;
  /** From `grpc-encoding`; empty for identity. */
  encoding = '';
  contentType = '';
  /** From `content-length`; -1 without one. */
  contentLength = -1;
  httpStatus = 200;
  status: StatusCode = STATUS.OK;
  message = '';
  /** The fields in order, pseudo-header fields included. */
  fields: readonly HeaderField[] = [];
  /** A slot for what the owner finds under `path`. */
  route: unknown = undefined;
}

/** Reads a header list. Never throws: what is wrong is in the result. */
export function parseRequestHead(fields: readonly HeaderField[]): RequestHead {
  const head = new RequestHead();
  head.fields = fields.slice();
  const reader = new HeadReader(head);
  if (!reader.readAll(fields)) {
    head.kind = HEAD_KINDS.MALFORMED;
    return head;
  }
  classify(head, reader);
  return head;
}

/** Walks the fields; remembers what the checks after need. */
class HeadReader {
  authorities = 0;
  hosts = 0;
  pseudo = 0;
  timeoutError: string | undefined = undefined;
  binaryError: string | undefined = undefined;
  readonly #head: RequestHead;
  #regular = false;

  constructor(head: RequestHead) {
    this.#head = head;
  }

  /** False if the message is malformed. */
  readAll(fields: readonly HeaderField[]): boolean {
    for (const field of fields) {
      if (!field.valid) return false;
      if (field.kind < FIELD_KINDS.OTHER) {
        if (this.#regular || !this.#readPseudo(field)) return false;
      } else {
        this.#regular = true;
        if (!this.#readRegular(field)) return false;
      }
    }
    return true;
  }

  /** Each pseudo-header field at most once, none unknown (RFC 9113 section 8.3). */
  #readPseudo(field: HeaderField): boolean {
    const head = this.#head;
    if (field.kind === FIELD_KINDS.AUTHORITY) {
      this.authorities++;
      head.authority ??= field.value;
      return true;
    }
    const bit = 1 << -field.kind;
    if (this.pseudo & bit) return false;
    this.pseudo |= bit;
    switch (field.kind) {
      case FIELD_KINDS.METHOD:
        head.method = field.value;
        return true;
      case FIELD_KINDS.PATH:
        head.path = field.value;
        return true;
      case FIELD_KINDS.SCHEME:
        head.scheme = field.value;
        return true;
      default:
        return false;
    }
  }

  #readRegular(field: HeaderField): boolean {
    const head = this.#head;
    switch (field.kind) {
      case FIELD_KINDS.OTHER:
        if (field.name.endsWith('-bin') && decodeBinaryValue(field.value) === undefined) {
          this.binaryError ??= `malformed binary metadata ${JSON.stringify(field.value)} in header ${JSON.stringify(field.name)}`;
        }
        return true;
      case FIELD_KINDS.CONTENT_TYPE:
        head.contentType = field.value;
        return true;
      case FIELD_KINDS.TE:
        return field.value === 'trailers';
      case FIELD_KINDS.CONNECTION_SPECIFIC:
        return false;
      case FIELD_KINDS.CONTENT_LENGTH:
        return this.#readContentLength(field.value);
      case FIELD_KINDS.HOST:
        this.hosts++;
        head.authority ??= field.value;
        return true;
      case FIELD_KINDS.GRPC_TIMEOUT:
        this.#readTimeout(field.value);
        return true;
      case FIELD_KINDS.GRPC_ENCODING:
        head.encoding = field.value === IDENTITY ? '' : field.value;
        return true;
      default:
        return true;
    }
  }

  #readContentLength(value: string): boolean {
    if (!/^[0-9]{1,15}$/.test(value)) return false;
    const length = Number(value);
    if (this.#head.contentLength >= 0 && this.#head.contentLength !== length) return false;
    this.#head.contentLength = length;
    return true;
  }

  #readTimeout(value: string): void {
    try {
      this.#head.timeoutMs = parseTimeout(value);
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.MALFORMED)) throw error;
      this.timeoutError = `malformed grpc-timeout: ${error.message}`;
    }
  }
}

const REQUIRED = (1 << -FIELD_KINDS.METHOD) | (1 << -FIELD_KINDS.PATH) | (1 << -FIELD_KINDS.SCHEME);

function classify(head: RequestHead, reader: HeadReader): void {
  if (reader.pseudo === 0 && reader.authorities === 0) {
    head.kind = HEAD_KINDS.TRAILERS;
    return;
  }
  if (head.method === 'CONNECT' || (reader.pseudo & REQUIRED) !== REQUIRED || head.path === '') {
    head.kind = HEAD_KINDS.MALFORMED;
    return;
  }
  if (reader.authorities > 1 || reader.hosts > 1) {
    refuse(
      head,
      400,
      STATUS.INTERNAL,
      `num values of :authority: ${reader.authorities}, num values of host: ${reader.hosts}, both must only have 1 value as per HTTP/2 spec`,
    );
  }
  if (!isGrpcContentType(head.contentType)) {
    head.kind = HEAD_KINDS.RAW;
    return;
  }
  const headerError = reader.timeoutError ?? reader.binaryError;
  if (headerError !== undefined) {
    refuse(head, 400, STATUS.INTERNAL, headerError);
    return;
  }
  if (head.method !== 'POST') {
    refuse(
      head,
      405,
      STATUS.INTERNAL,
      `Received a HEADERS frame with :method ${JSON.stringify(head.method)} which should be POST`,
    );
  }
}

function refuse(head: RequestHead, httpStatus: number, status: StatusCode, message: string): void {
  head.kind = HEAD_KINDS.REFUSED;
  head.httpStatus = httpStatus;
  head.status = status;
  head.message = message;
}

const GRPC_CONTENT_TYPE = 'application/grpc';

/** `application/grpc`, alone or with a subtype or parameters. */
export function isGrpcContentType(value: string): boolean {
  if (!value.startsWith(GRPC_CONTENT_TYPE)) return false;
  if (value.length === GRPC_CONTENT_TYPE.length) return true;
  const next = value.charAt(GRPC_CONTENT_TYPE.length);
  return next === '+' || next === ';';
}
