// Request targets, parsed as in Go's net/http.

import { posix } from 'node:path';

export interface Target {
  /** With percent escapes undone. */
  readonly path: string;
  /** Its first part, before the escapes were undone: an escaped slash ends none. */
  readonly firstPart: string;
  readonly query: URLSearchParams;
  /** The query as it came, with its question mark; empty if there is none. */
  readonly search: string;
}

const SCHEME_AND_HOST = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;
const BROKEN_ESCAPE = /%(?![0-9a-f]{2})/i;

/** Undefined if a percent sign stands for nothing. */
export function parseTarget(target: string): Target | undefined {
  const relative = target.replace(SCHEME_AND_HOST, '');
  const at = relative.indexOf('?');
  const raw = at < 0 ? relative : relative.slice(0, at);
  const search = at < 0 ? '' : relative.slice(at);
  if (BROKEN_ESCAPE.test(raw)) return undefined;
  const path = unescaped(raw);
  const firstPart = unescaped(raw.split('/', 2)[1] ?? '');
  return { path, firstPart, query: new URLSearchParams(search), search };
}

function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // Escapes of bytes that are not UTF-8: no served path has any.
    return path;
  }
}

/** Where a path with `//`, `.` or `..` in it is redirected to; undefined if it has none of them. */
export function cleanPath(path: string): string | undefined {
  const clean = posix.normalize(path.startsWith('/') ? path : `/${path}`);
  return clean === path ? undefined : clean;
}
