// The head of a request, made once per header list and shared by all requests with the same bytes:
// everything about it that does not depend on the stream. What is refused, and in which order, is as in
// grpc-go's server: more lenient than RFC 9113 where that is harmless (`te`, `content-length`, no
// `:scheme`). A request that is not gRPC and goes on to an HTTP server must follow the RFC.

import { ERROR_CODES, hasCode } from '../../base/index.ts';
import { FieldMetadata } from '../field-metadata.ts';
import { IDENTITY } from '../gzip.ts';
import { FIELD_KINDS, type HeaderField } from '../hpack/index.ts';
import { HELD_HEAD_BYTES_MIN } from '../limits.ts';
import { base64ErrorAt, decodeBinaryValue, type Metadata } from '../metadata.ts';
import { STATUS, type StatusCode } from '../status.ts';
import { parseTimeout } from '../timeout.ts';

/** Classes of requests. */
export const HEAD_KINDS = {
  /** A call. */
  GRPC: 0,
  /** A request that is not gRPC. */
  RAW: 1,
  /** Malformed: reset with PROTOCOL_ERROR. */
  MALFORMED: 2,
  /** Answered with `httpStatus`, `status` and `message`, without a handler. */
  REFUSED: 3,
} as const;

type HeadKind = (typeof HEAD_KINDS)[keyof typeof HEAD_KINDS];

export class RequestHead {
  kind: HeadKind = HEAD_KINDS.GRPC;
  method = '';
  scheme = '';
  path = '';
  /** Undefined if neither `:authority` nor `host` came. */
  authority: string | undefined = undefined;
  /** From `grpc-timeout`; Infinity without one. Valid while a call begins: see {@link takeTimeout}. */
  timeoutMs: number = Number.POSITIVE_INFINITY;
  /** From `grpc-encoding`; empty for identity. */
  encoding = '';
  contentType = '';
  /** From `content-length`; -1 without one. Binds only a request that is not gRPC. */
  contentLength = -1;
  /** Whether RFC 9113 sections 8.2.2 and 8.3.1 call it well-formed, besides what MALFORMED covers. */
  strict = true;
  /** Without pseudo-header fields it can be trailers on an open stream. */
  hasPseudo = false;
  /** Bytes of a list from HELD_HEAD_BYTES_MIN on, which count against `heldBytesMax`; else 0. */
  heldBytes = 0;
  httpStatus = 200;
  status: StatusCode = STATUS.OK;
  message = '';
  /** The fields in order, pseudo-header fields included. */
  fields: readonly HeaderField[] = [];
  #metadata: Metadata | undefined = undefined;
  /** Cache of the owner for the route of `path`. */
  route: unknown = undefined;

  /**
   * Becomes the head of another list too, if that one differs in its timeout alone, as lists of
   * successive calls mostly do: all other fields are the same ones in the header table. Else false.
   */
  takeTimeout(fields: readonly HeaderField[]): boolean {
    const own = this.fields;
    if (this.kind !== HEAD_KINDS.GRPC || fields.length !== own.length) return false;
    let timeout: HeaderField | undefined;
    for (let i = 0; i < own.length; i++) {
      const field = fields[i]!;
      if (field.kind !== FIELD_KINDS.GRPC_TIMEOUT) {
        if (field !== own[i]) return false;
        continue;
      }
      if (own[i]!.kind !== field.kind || !field.valid || timeout !== undefined) return false;
      timeout = field;
    }
    if (timeout === undefined) return true;
    try {
      this.timeoutMs = parseTimeout(timeout.value);
      return true;
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.MALFORMED)) throw error;
      return false;
    }
  }

  get metadata(): Metadata {
    this.#metadata ??= new FieldMetadata(this.fields);
    return this.#metadata;
  }
}

/** Reads a header list. Never throws: errors are in the result. */
export function parseRequestHead(fields: readonly HeaderField[]): RequestHead {
  const head = new RequestHead();
  head.fields = fields.slice();
  reader.begin(head);
  const wellFormed = reader.readAll(fields);
  if (reader.listBytes > HELD_HEAD_BYTES_MIN) head.heldBytes = reader.listBytes;
  if (!wellFormed) {
    head.kind = HEAD_KINDS.MALFORMED;
    return head;
  }
  classify(head);
  return head;
}

/** Reads the fields, and remembers what later checks need. */
class HeadReader {
  /** Size of the fields read, as HPACK counts it. */
  listBytes = 0;
  hosts = 0;
  pseudo = 0;
  isGrpc = false;
  hasConnection = false;
  timeoutError: string | undefined = undefined;
  binaryError: string | undefined = undefined;
  #head = new RequestHead();
  #regular = false;

  begin(head: RequestHead): void {
    this.#head = head;
    this.listBytes = 0;
    this.hosts = 0;
    this.pseudo = 0;
    this.isGrpc = false;
    this.hasConnection = false;
    this.timeoutError = undefined;
    this.binaryError = undefined;
    this.#regular = false;
  }

  /** False if the message is malformed. */
  readAll(fields: readonly HeaderField[]): boolean {
    for (const field of fields) {
      this.listBytes += field.size;
      if (!field.valid) return false;
      if (field.kind < FIELD_KINDS.OTHER) {
        if (this.#regular || !this.#readPseudo(field)) return false;
      } else {
        this.#regular = true;
        this.#readRegular(field);
      }
    }
    return true;
  }

  /** Each pseudo-header field at most once, none unknown (RFC 9113 section 8.3). */
  #readPseudo(field: HeaderField): boolean {
    const head = this.#head;
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
      case FIELD_KINDS.AUTHORITY:
        head.authority = field.value;
        return true;
      default:
        return field.kind === FIELD_KINDS.PROTOCOL;
    }
  }

  #readRegular(field: HeaderField): void {
    const head = this.#head;
    switch (field.kind) {
      case FIELD_KINDS.OTHER:
        if (field.name.endsWith('-bin') && decodeBinaryValue(field.value) === undefined) {
          this.binaryError = binaryErrorText(field);
        }
        return;
      case FIELD_KINDS.CONTENT_TYPE:
        if (isGrpcContentType(field.value)) this.isGrpc = true;
        else head.contentType = field.value;
        return;
      case FIELD_KINDS.TE:
        if (field.value !== 'trailers') head.strict = false;
        return;
      case FIELD_KINDS.CONNECTION_SPECIFIC:
        head.strict = false;
        if (field.name === 'connection') this.hasConnection = true;
        return;
      case FIELD_KINDS.CONTENT_LENGTH:
        if (!this.#readContentLength(field.value)) head.strict = false;
        return;
      case FIELD_KINDS.HOST:
        this.hosts++;
        head.authority ??= field.value;
        return;
      case FIELD_KINDS.GRPC_TIMEOUT:
        this.#readTimeout(field.value);
        return;
      case FIELD_KINDS.GRPC_ENCODING:
        head.encoding = field.value === IDENTITY ? '' : field.value;
        return;
      default:
        return;
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

/** Used for one list after the other. */
const reader = new HeadReader();

function binaryErrorText({ name, value }: HeaderField): string {
  const text = `malformed binary metadata ${JSON.stringify(value)} in header ${JSON.stringify(name)}`;
  return `${text}: illegal base64 data at input byte ${base64ErrorAt(value)}`;
}

const REQUIRED = (1 << -FIELD_KINDS.METHOD) | (1 << -FIELD_KINDS.PATH) | (1 << -FIELD_KINDS.SCHEME);

function classify(head: RequestHead): void {
  head.hasPseudo = reader.pseudo !== 0;
  if ((reader.pseudo & REQUIRED) !== REQUIRED || head.path === '') head.strict = false;
  if (head.method === 'CONNECT') head.strict = false;
  if (reader.hosts > 1) {
    const authorities = (reader.pseudo >> -FIELD_KINDS.AUTHORITY) & 1;
    const text = `num values of :authority: ${authorities}, num values of host: ${reader.hosts}, both must only have 1 value as per HTTP/2 spec`;
    refuse(head, 400, STATUS.INTERNAL, text);
    return;
  }
  if (reader.hasConnection) {
    head.kind = HEAD_KINDS.MALFORMED;
    return;
  }
  if (!reader.isGrpc) {
    head.kind = HEAD_KINDS.RAW;
    return;
  }
  const headerError = reader.timeoutError ?? reader.binaryError;
  if (headerError !== undefined) {
    refuse(head, 400, STATUS.INTERNAL, headerError);
    return;
  }
  if (head.method !== 'POST') {
    const text = `Received a HEADERS frame with :method ${JSON.stringify(head.method)} which should be POST`;
    refuse(head, 405, STATUS.INTERNAL, text);
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
