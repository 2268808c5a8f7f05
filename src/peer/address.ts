// Addresses of peer URLs.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import type { StreamAddress } from '../env/index.ts';

const TCP_URL = /^https?:\/\/(\[[\da-fA-F:.]+\]|[^[\]/?#@:\s]+):(\d{1,5})$/;
const UNIX_URL = /^unixs?:\/\/([^?#\s]+)$/;

/**
 * The address of `http://host:port` or `unix://path`, a secure one of `https` and `unixs`.
 * INVALID_ARGUMENT for anything else.
 */
export function parsePeerUrl(url: string): StreamAddress {
  const unix = UNIX_URL.exec(url);
  const secure = /^(?:https|unixs):/.test(url) ? { secure: true } : {};
  if (unix !== null) return { host: '', port: 0, path: unix[1]!, ...secure };
  const tcp = TCP_URL.exec(url);
  const port = Number(tcp?.[2]);
  if (tcp === null || port > 65_535) {
    const text = `peer URL ${JSON.stringify(url)}: not of the form http(s)://host:port or unix(s)://path`;
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
  }
  return { host: tcp[1]!.replace(/^\[|\]$/g, ''), port, ...secure };
}

/** The `Host` header of a request to the URL. */
export function hostOfUrl(url: string): string {
  return url.replace(/^[a-z]+:\/\//, '');
}

/** Whether {@link parsePeerUrl} accepts the URL. */
export function isPeerUrl(url: string): boolean {
  try {
    parsePeerUrl(url);
    return true;
  } catch {
    return false;
  }
}
