import { createHash } from 'node:crypto';

const DIGITS = 12;

/** A token as logs show it: which one it was can be told, what it was cannot. Etcd's form. */
export function fingerprint(token: string): string {
  return createHash('sha256').update(token, 'latin1').digest('hex').slice(0, DIGITS);
}
