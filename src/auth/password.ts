// The password of a user, as log entries bring it.

import { bytesFromBase64, EtcdError } from '../protocol/index.ts';

/** What a request to add a user or to change a password says of the password. */
interface PasswordRequest {
  /** In the log only if a release up to 3.4 wrote the entry. */
  readonly password: string;
  /** The bcrypt hash in base64. */
  readonly hashedPassword: string;
}

/**
 * Hashes a password with bcrypt. Throws EtcdError NO_PASSWORD_USER for one that bcrypt does not take
 * (over 72 bytes).
 */
export type HashPassword = (password: string) => Uint8Array;

const BASE64 = /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/;

/** The hash to store. EtcdError NO_PASSWORD_USER if the request has none. */
export function storedPassword(request: PasswordRequest, hash: HashPassword): Uint8Array {
  const { password, hashedPassword } = request;
  if (password !== '' && hashedPassword === '') return hash(password);
  const text = hashedPassword.replace(/[\r\n]/g, '');
  const bytes = BASE64.test(text) ? bytesFromBase64(text) : undefined;
  if (bytes === undefined) throw new EtcdError('NO_PASSWORD_USER');
  return bytes;
}
