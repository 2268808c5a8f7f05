// The closed list of gRPC status codes, and the error that carries one to promise-style callers.

/** gRPC status codes, by their names in grpc-go's `codes` package. */
export const STATUS = {
  OK: 0,
  CANCELED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** A code of gRPC, 0 to 16; see {@link STATUS}. */
export type StatusCode = (typeof STATUS)[keyof typeof STATUS];

/** The codes' names as Go prints them, by code; the codes are consecutive from 0. */
export const STATUS_NAMES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const satisfies readonly string[];

/** How many codes there are. */
export const STATUS_COUNT = STATUS_NAMES.length;

/** The code's name as Go prints it (`DeadlineExceeded`): what metrics and error texts show. */
export function statusName(code: number): string {
  return STATUS_NAMES[code] ?? `Code(${code})`;
}

/** The rejection of a promise-style call. Match on `code`; `details` is the server's message. */
export class GrpcStatusError extends Error {
  override readonly name = 'GrpcStatusError';
  readonly code: StatusCode;
  /** The status message alone, such as `etcdserver: mvcc: required revision has been compacted`. */
  readonly details: string;

  constructor(code: StatusCode, details: string) {
    super(`${statusName(code)}: ${details}`);
    this.code = code;
    this.details = details;
  }
}
