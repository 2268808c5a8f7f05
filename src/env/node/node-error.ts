// Every error of the platform, mapped to our closed list in one place, with the reason.

import { ERROR_CODES, type ErrorCode, TetcdError } from '../../base/index.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly reason: string;
}

const meaning = (code: ErrorCode, reason: string): Meaning => ({ code, reason });

const PROCESS_FILES =
  'this process may open no more files and sockets: raise its limit ' +
  '(ulimit -n, or LimitNOFILE of its systemd unit)';
const SYSTEM_FILES = 'the system may open no more files: raise its limit (sysctl fs.file-max)';

/** What a failed file operation's errno means to us. Anything not listed is DISK_FAILED. */
const DISK_MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ['ENOENT', meaning(ERROR_CODES.NOT_FOUND, 'nothing has that name')],
  ['EEXIST', meaning(ERROR_CODES.ALREADY_EXISTS, 'the name is taken')],
  ['ENOTEMPTY', meaning(ERROR_CODES.ALREADY_EXISTS, 'the target directory is not empty')],
  ['ENOSPC', meaning(ERROR_CODES.DISK_FULL, 'no space left on the file system')],
  ['EDQUOT', meaning(ERROR_CODES.DISK_FULL, 'the disk quota is exhausted')],
  // What a caller can do about these differs from disk to disk: an operator must look. The text
  // says what to look for.
  ['EACCES', meaning(ERROR_CODES.DISK_FAILED, 'permission denied')],
  ['EPERM', meaning(ERROR_CODES.DISK_FAILED, 'not permitted (permissions, or opened elsewhere)')],
  ['EBUSY', meaning(ERROR_CODES.DISK_FAILED, 'in use by another program')],
  ['EROFS', meaning(ERROR_CODES.DISK_FAILED, 'the file system is read-only')],
  ['EIO', meaning(ERROR_CODES.DISK_FAILED, 'the device reported an input/output error')],
  ['EMFILE', meaning(ERROR_CODES.DISK_FAILED, PROCESS_FILES)],
  ['ENFILE', meaning(ERROR_CODES.DISK_FAILED, SYSTEM_FILES)],
  ['EISDIR', meaning(ERROR_CODES.DISK_FAILED, 'it is a directory')],
  ['ENOTDIR', meaning(ERROR_CODES.DISK_FAILED, 'a part of the path is not a directory')],
  ['ENAMETOOLONG', meaning(ERROR_CODES.DISK_FAILED, 'the name is too long')],
  ['EFBIG', meaning(ERROR_CODES.DISK_FAILED, 'the file would exceed the size limit')],
  ['EXDEV', meaning(ERROR_CODES.DISK_FAILED, 'the two names are on different file systems')],
]);

/** What a failed socket operation's errno means to us. Anything not listed is UNAVAILABLE. */
const NETWORK_MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ['EADDRINUSE', meaning(ERROR_CODES.ALREADY_EXISTS, 'the address is in use')],
  ['EADDRNOTAVAIL', meaning(ERROR_CODES.INVALID_ARGUMENT, 'this machine lacks that address')],
  ['EACCES', meaning(ERROR_CODES.INVALID_ARGUMENT, 'not permitted to use that address')],
  ['ENAMETOOLONG', meaning(ERROR_CODES.INVALID_ARGUMENT, 'the socket path is too long')],
  ['ECONNREFUSED', meaning(ERROR_CODES.UNAVAILABLE, 'nothing listens there')],
  ['ECONNRESET', meaning(ERROR_CODES.UNAVAILABLE, 'the other side broke the connection')],
  ['ECONNABORTED', meaning(ERROR_CODES.UNAVAILABLE, 'the connection was aborted')],
  ['EPIPE', meaning(ERROR_CODES.UNAVAILABLE, 'the other side no longer reads')],
  ['ETIMEDOUT', meaning(ERROR_CODES.UNAVAILABLE, 'the other side does not answer')],
  ['EHOSTUNREACH', meaning(ERROR_CODES.UNAVAILABLE, 'no route to the host')],
  ['ENETUNREACH', meaning(ERROR_CODES.UNAVAILABLE, 'no route to the network')],
  ['ENOTFOUND', meaning(ERROR_CODES.UNAVAILABLE, 'the host name is unknown')],
  ['EAI_AGAIN', meaning(ERROR_CODES.UNAVAILABLE, 'the name service does not answer')],
  ['EMFILE', meaning(ERROR_CODES.UNAVAILABLE, PROCESS_FILES)],
  ['ENFILE', meaning(ERROR_CODES.UNAVAILABLE, SYSTEM_FILES)],
  ['ENOENT', meaning(ERROR_CODES.UNAVAILABLE, 'the socket path does not exist')],
]);

/** The errno name Node puts on an error (`ENOENT`), or an empty string. */
export function errnoOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const code = (error as NodeJS.ErrnoException).code;
  if (typeof code === 'string' && code.length > 0) return code;
  // A connect to a name with several addresses fails with all of their errors in one.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  return inner === undefined ? '' : errnoOf(inner);
}

/** A failed file operation as our error: which operation, on which path, and why. */
export function diskError(error: unknown, operation: string, path: string): TetcdError {
  return translate(error, `${operation} ${path}`, DISK_MEANINGS, ERROR_CODES.DISK_FAILED);
}

/** A failed socket operation as our error: which operation, on which address, and why. */
export function networkError(error: unknown, operation: string, address: string): TetcdError {
  return translate(error, `${operation} ${address}`, NETWORK_MEANINGS, ERROR_CODES.UNAVAILABLE);
}

function translate(
  error: unknown,
  what: string,
  meanings: ReadonlyMap<string, Meaning>,
  otherwise: ErrorCode,
): TetcdError {
  if (error instanceof TetcdError) return error;
  const errno = errnoOf(error);
  const known = meanings.get(errno);
  const detail =
    known === undefined
      ? error instanceof Error
        ? error.message
        : String(error)
      : `${known.reason} (${errno})`;
  return new TetcdError(known?.code ?? otherwise, `${what}: ${detail}`, { cause: error });
}
