// The head or the trailers of a response, made once per header list and shared by all responses with
// the same bytes. Texts as in grpc-go's client.

import { malformedBinaryField } from '../field-metadata.ts';
import { IDENTITY } from '../gzip.ts';
import { FIELD_KINDS, type HeaderField } from '../hpack/index.ts';
import { percentDecode } from '../percent-encoding.ts';
import { isGrpcContentType } from '../server/request-head.ts';
import { STATUS, STATUS_COUNT, type StatusCode } from '../status.ts';

export class ResponseHead {
  /** False if RFC 9113 section 8.1.1 makes it malformed. */
  wellFormed = true;
  /** From `:status`; 0 in trailers. */
  httpStatus = 0;
  contentType: string | undefined = undefined;
  /** From `grpc-encoding`; empty for identity. */
  encoding = '';
  /** From `grpc-status`; undefined without one. */
  status: StatusCode | undefined = undefined;
  /** From `grpc-message`, decoded. */
  message = '';
  /** What is wrong with a value, if anything. */
  error: string | undefined = undefined;
  contentLength = -1;
  fields: readonly HeaderField[] = [];

  get isGrpc(): boolean {
    return this.contentType !== undefined && isGrpcContentType(this.contentType);
  }
}

/** Reads a header list. Never throws: what is wrong is in the result. */
export function parseResponseHead(fields: readonly HeaderField[]): ResponseHead {
  const head = new ResponseHead();
  head.fields = fields.slice();
  let regular = false;
  for (const field of fields) {
    if (!field.valid || field.kind === FIELD_KINDS.CONNECTION_SPECIFIC) head.wellFormed = false;
    if (field.kind >= FIELD_KINDS.OTHER) {
      regular = true;
      readRegular(head, field);
    } else if (field.kind !== FIELD_KINDS.STATUS || regular || head.httpStatus !== 0) {
      head.wellFormed = false;
    } else if (/^[1-5][0-9]{2}$/.test(field.value)) {
      head.httpStatus = Number(field.value);
    } else {
      head.wellFormed = false;
    }
  }
  const binary = malformedBinaryField(fields);
  if (binary !== undefined) {
    head.error = `transport: malformed ${binary.name}: ${JSON.stringify(binary.value)}`;
  }
  return head;
}

function readRegular(head: ResponseHead, field: HeaderField): void {
  switch (field.kind) {
    case FIELD_KINDS.CONTENT_TYPE:
      head.contentType = field.value;
      break;
    case FIELD_KINDS.CONTENT_LENGTH:
      if (/^[0-9]{1,15}$/.test(field.value)) head.contentLength = Number(field.value);
      else head.wellFormed = false;
      break;
    case FIELD_KINDS.GRPC_ENCODING:
      head.encoding = field.value === IDENTITY ? '' : field.value;
      break;
    case FIELD_KINDS.GRPC_STATUS:
      readStatus(head, field.value);
      break;
    case FIELD_KINDS.GRPC_MESSAGE:
      head.message = percentDecode(field.value);
      break;
    default:
      break;
  }
}

function readStatus(head: ResponseHead, value: string): void {
  if (!/^[0-9]{1,9}$/.test(value)) {
    head.error = `transport: malformed grpc-status: ${JSON.stringify(value)}`;
    return;
  }
  const code = Number(value);
  // An unknown code is reported as UNKNOWN, as by all gRPC clients.
  head.status = code < STATUS_COUNT ? (code as StatusCode) : STATUS.UNKNOWN;
}

const STATUS_OF_HTTP: ReadonlyMap<number, StatusCode> = new Map<number, StatusCode>([
  [400, STATUS.INTERNAL],
  [401, STATUS.UNAUTHENTICATED],
  [403, STATUS.PERMISSION_DENIED],
  [404, STATUS.UNIMPLEMENTED],
  [429, STATUS.UNAVAILABLE],
  [502, STATUS.UNAVAILABLE],
  [503, STATUS.UNAVAILABLE],
  [504, STATUS.UNAVAILABLE],
]);

/** The gRPC status for a response that is not gRPC, by its HTTP status. */
export function statusOfHttp(head: ResponseHead): { code: StatusCode; message: string } {
  const type =
    head.contentType === undefined
      ? 'malformed header: missing HTTP content-type'
      : `transport: received unexpected content-type ${JSON.stringify(head.contentType)}`;
  if (head.httpStatus === 0) {
    return { code: STATUS.INTERNAL, message: `malformed header: missing HTTP status; ${type}` };
  }
  return {
    code: STATUS_OF_HTTP.get(head.httpStatus) ?? STATUS.UNKNOWN,
    message: `unexpected HTTP status code received from server: ${head.httpStatus}; ${type}`,
  };
}
