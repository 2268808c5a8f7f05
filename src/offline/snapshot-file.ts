// A database file with a SHA-256 of its bytes behind it, as `snapshot save` writes it. The database is a
// multiple of 512 bytes, so that the size tells whether there is one.

import { createHash } from 'node:crypto';
import { ERROR_CODES, equalBytes, TetcdError } from '../base/index.ts';
import { type DiskFile, OPEN_MODES } from '../env/index.ts';
import { READ_BLOCK_BYTES } from './limits.ts';
import type { OfflineEnv } from './types.ts';

const CHECKSUM_BYTES = 32;
const SECTOR_BYTES = 512;

/**
 * Checks the checksum behind the database. NOT_FOUND, INVALID_ARGUMENT or CORRUPT, in etcd's words, if
 * there is no file or no checksum, or a wrong one. With `skip`, only that there is a file.
 */
export async function checkSnapshotFile(
  { disk }: OfflineEnv,
  path: string,
  { skip }: { readonly skip: boolean },
): Promise<void> {
  const found = await disk.stat(path);
  if (found === undefined) {
    throw new TetcdError(ERROR_CODES.NOT_FOUND, `open ${path}: no such file or directory`);
  }
  if (found.kind === 'directory') {
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `read ${path}: is a directory`);
  }
  if (skip) return;
  const file = await disk.open(path, OPEN_MODES.READ);
  try {
    await checkChecksum(file);
  } finally {
    await file.close();
  }
}

async function checkChecksum(file: DiskFile): Promise<void> {
  const size = file.size();
  if (size % SECTOR_BYTES !== CHECKSUM_BYTES) {
    const text = 'snapshot missing hash but --skip-hash-check=false';
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
  }
  const hash = createHash('sha256');
  const end = size - CHECKSUM_BYTES;
  const block = new Uint8Array(READ_BLOCK_BYTES);
  for (let at = 0; at < end; ) {
    const count = await file.read(block.subarray(0, Math.min(block.length, end - at)), at);
    if (count === 0) throw new TetcdError(ERROR_CODES.CORRUPT, `${file.path} became shorter`);
    hash.update(block.subarray(0, count));
    at += count;
  }
  const stored = new Uint8Array(CHECKSUM_BYTES);
  await file.read(stored, end);
  const computed = hash.digest();
  if (equalBytes(stored, computed)) return;
  const text = `expected sha256 [${stored.join(' ')}], got [${computed.join(' ')}]`;
  throw new TetcdError(ERROR_CODES.CORRUPT, text);
}
