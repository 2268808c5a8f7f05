// The one message encoding besides identity. Messages are bounded by the receive limit, so that
// (de)compressing in the turn stays short.

import { gunzipSync, gzipSync } from 'node:zlib';
import { ERROR_CODES, TetcdError } from '../base/index.ts';

export const GZIP = 'gzip';
export const IDENTITY = 'identity';

export function gzip(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes);
}

/**
 * The decompressed bytes, owned by the caller. LIMIT_EXCEEDED if they are more than `bytesMax`, without
 * decompressing further (so that a small message cannot fill the memory); MALFORMED if it is no gzip.
 */
export function gunzip(bytes: Uint8Array, bytesMax: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.max(1, bytesMax) });
  } catch (error) {
    const cause = error instanceof Error ? error : new Error(String(error));
    if ('code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE') {
      throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, 'gzip: output too large', { cause });
    }
    throw new TetcdError(ERROR_CODES.MALFORMED, `gzip: ${cause.message}`, { cause });
  }
}
