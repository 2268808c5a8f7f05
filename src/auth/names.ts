// Names of users and roles, as the database has them.

import { bytesFromLatin1, bytesFromUtf8, latin1FromBytes, utf8FromBytes } from '../base/index.ts';

/**
 * The UTF-8 bytes of a user's or role's name, one char per byte: the key of its row. Such strings
 * compare in byte order, and names that a release up to 3.5 took although they are no UTF-8 stay
 * apart, which as text they would not.
 */
export type Name = string;

export const ROOT: Name = 'root';

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** The name that a request means by `text`. */
export function nameFromText(text: string): Name {
  return isAscii(text) ? text : latin1FromBytes(bytesFromUtf8(text));
}

/** The name as responses have it; U+FFFD in place of what is no UTF-8. */
export function textFromName(name: Name): string {
  return isAscii(name) ? name : utf8FromBytes(bytesFromLatin1(name));
}

/** Whether decoded text may have U+FFFD in place of bytes that are no UTF-8: look at the bytes. */
export function mayBeReplaced(text: string): boolean {
  return text.includes('\ufffd');
}
