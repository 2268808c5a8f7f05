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

const READ_FAILURES: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  ENOTDIR: 'not a directory',
};

/** What a Go program says of an error of {@link readFile}. */
export function readFailure(path: string, error: unknown): string {
  const { message, cause } = error as Error & { readonly cause?: { readonly code?: string } };
  if (cause?.code === 'EISDIR') return `read ${path}: is a directory`;
  const reason = READ_FAILURES[cause?.code ?? ''];
  return reason === undefined ? message : `open ${path}: ${reason}`;
}
