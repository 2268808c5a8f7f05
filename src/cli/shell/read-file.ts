// Whole files, and Go's words for what keeps one from being read.

import { createNodeDisk, OPEN_MODES } from '../../env/index.ts';

/** All bytes of a file; rejects with an error whose `cause` has the system's code. */
export async function readFile(path: string): Promise<Uint8Array> {
  const file = await createNodeDisk().open(path, OPEN_MODES.READ);
  try {
    const bytes = new Uint8Array(file.size());
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
};

/** Go's words for the errno of a failed file operation; without one, the error's own text. */
export function systemReason(error: unknown): string {
  const { message, cause } = error as Error & { readonly cause?: { readonly code?: string } };
  return REASONS[cause?.code ?? ''] ?? message;
}

/** What a Go program says of an error of opening a file. */
export function openFailure(path: string, error: unknown): string {
  const reason = systemReason(error);
  return reason === (error as Error).message ? reason : `open ${path}: ${reason}`;
}

/** What a Go program says of an error of {@link readFile}. */
export function readFailure(path: string, error: unknown): string {
  const failure = openFailure(path, error);
  // A directory can be opened there.
  return failure.endsWith(': is a directory') ? failure.replace('open', 'read') : failure;
}
