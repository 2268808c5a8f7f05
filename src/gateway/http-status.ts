// gRPC statuses as HTTP has them, and the JSON that stands for one: as grpc-gateway does.

import { STATUS, type StatusCode } from '../grpc/index.ts';

const HTTP_STATUS: Readonly<Record<StatusCode, number>> = {
  [STATUS.OK]: 200,
  [STATUS.CANCELED]: 499,
  [STATUS.UNKNOWN]: 500,
  [STATUS.INVALID_ARGUMENT]: 400,
  [STATUS.DEADLINE_EXCEEDED]: 504,
  [STATUS.NOT_FOUND]: 404,
  [STATUS.ALREADY_EXISTS]: 409,
  [STATUS.PERMISSION_DENIED]: 403,
  [STATUS.RESOURCE_EXHAUSTED]: 429,
  [STATUS.FAILED_PRECONDITION]: 400,
  [STATUS.ABORTED]: 409,
  [STATUS.OUT_OF_RANGE]: 400,
  [STATUS.UNIMPLEMENTED]: 501,
  [STATUS.INTERNAL]: 500,
  [STATUS.UNAVAILABLE]: 503,
  [STATUS.DATA_LOSS]: 500,
  [STATUS.UNAUTHENTICATED]: 401,
};

export function httpStatusOf(status: StatusCode): number {
  return HTTP_STATUS[status];
}

/** A `google.rpc.Status`, whose zero fields are left out. */
export function statusJson(status: StatusCode, message: string): string {
  return JSON.stringify({ ...(status === 0 ? {} : { code: status }), ...(message && { message }) });
}

/** Text that is JSON, with the characters escaped that Go's encoding/json escapes for HTML. */
export function escapedForHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (char) => {
    const code = char.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${code}`;
  });
}
