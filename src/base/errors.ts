// The closed list of error codes below the gRPC surface, and the one error class that carries them.
// What etcd's clients see (gRPC status and etcd's exact text) is a table in `protocol/`.
//
// Three kinds of failure exist. The caller's mistake gets a TetcdError as the reply. The
// environment's failure gets a TetcdError that a named policy handles. Our own mistake is an
// InvariantError and stops the member.

/** Every code, with when it is returned. */
export const ERROR_CODES = {
  /** A message, frame or JSON text breaks its format; the text names message, field and offset. */
  MALFORMED: 'MALFORMED',
  /** A stored structure fails its checksum or its rules; the text names file and offset. */
  CORRUPT: 'CORRUPT',
  /** A number read from disk or a peer is above 2^53-1. */
  NUMBER_TOO_LARGE: 'NUMBER_TOO_LARGE',
  /** A file, directory, bucket, snapshot record or member does not exist. */
  NOT_FOUND: 'NOT_FOUND',
  /** The thing to create exists already. */
  ALREADY_EXISTS: 'ALREADY_EXISTS',
  /** Another process (or another owner in this one) holds the lock. */
  LOCKED: 'LOCKED',
  /** The disk is full (ENOSPC, EDQUOT). Nothing of the failed operation counts as written. */
  DISK_FULL: 'DISK_FULL',
  /** Any other failure of the disk; after a failed sync, what the disk holds is unknown. */
  DISK_FAILED: 'DISK_FAILED',
  /** A limit that the text names was exceeded. */
  LIMIT_EXCEEDED: 'LIMIT_EXCEEDED',
  /** The object was closed or stopped before or while the call ran. */
  CLOSED: 'CLOSED',
  /** An argument, flag or setting is out of range or contradicts another. */
  INVALID_ARGUMENT: 'INVALID_ARGUMENT',
  /** Data of a kind this release knows of but does not implement; refused, never skipped. */
  UNSUPPORTED: 'UNSUPPORTED',
  /** The network peer cannot be reached or broke the connection. */
  UNAVAILABLE: 'UNAVAILABLE',
  /** The time limit of the operation has passed. */
  TIMEOUT: 'TIMEOUT',
} as const;

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[keyof typeof ERROR_CODES];

/** Match on `code`, never on class or message text. `cause` holds what was caught, if anything. */
export class TetcdError extends Error {
  override readonly name = 'TetcdError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * An error of reading stored bytes, with the place of these bytes before its text; any other error is
 * handed back as it is.
 */
export function placed(error: unknown, place: string): unknown {
  if (!(error instanceof TetcdError) || !OF_STORED_BYTES.has(error.code)) return error;
  return new TetcdError(error.code, `${place}: ${error.message}`, { cause: error });
}

const OF_STORED_BYTES: ReadonlySet<ErrorCode> = new Set([
  ERROR_CODES.MALFORMED,
  ERROR_CODES.CORRUPT,
  ERROR_CODES.NUMBER_TOO_LARGE,
  ERROR_CODES.UNSUPPORTED,
]);

/** Whether `error` is a TetcdError of this code. */
export function hasCode(error: unknown, code: ErrorCode): error is TetcdError {
  return error instanceof TetcdError && error.code === code;
}
