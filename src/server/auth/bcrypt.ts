// Bcrypt in the form of etcd's hashes, $2a$10$ and 53 characters. A hash takes a tenth of a second at
// cost 10: never called on the event loop but where a log entry of an old release leaves no choice.

import { compareSync, encodeBase64, hashSync } from 'bcryptjs';
import { utf8Length } from '../../base/index.ts';

/** Bcrypt reads no more bytes of a password; etcd refuses a longer one. */
const PASSWORD_BYTES_MAX = 72;
export const SALT_BYTES = 16;

/** One computation of bcrypt. */
export type PasswordJob =
  | { readonly kind: 'hash'; readonly password: string; readonly salt: string }
  | { readonly kind: 'verify'; readonly password: string; readonly hash: string };

export function isHashable(password: string): boolean {
  return utf8Length(password) <= PASSWORD_BYTES_MAX;
}

/** How a hash begins: cost (4 to 31) and {@link SALT_BYTES} random bytes. */
export function saltOf(cost: number, random: Uint8Array): string {
  return `$2a$${String(cost).padStart(2, '0')}$${encodeBase64(random, SALT_BYTES)}`;
}

/** The hash, or whether the password is that of the hash; false for one that is no hash. */
export function runPasswordJob(job: PasswordJob): string | boolean {
  if (job.kind === 'hash') return hashSync(job.password, job.salt);
  try {
    return compareSync(job.password, job.hash);
  } catch {
    return false;
  }
}
