// Lists of URLs, as flags have them: comma separated, `http://host:port` or `unix://path`.

import { isIP } from 'node:net';
import { goQuote } from '../../base/index.ts';
import { sortedUrls } from '../../membership/index.ts';
import type { Parsed } from './values.ts';

/** One URL of a list, taken apart. */
export interface ParsedUrl {
  readonly scheme: 'http' | 'https' | 'unix' | 'unixs';
  /** Without brackets; empty for unix schemes. */
  readonly host: string;
  /** 0 if it was left empty. */
  readonly port: number;
  /** Socket path; empty for http schemes. */
  readonly path: string;
  /** With the scheme in lower case; otherwise as given. */
  readonly text: string;
}

/** Sorted by their bytes, duplicates removed. */
export function parseUrls(list: string): Parsed<readonly ParsedUrl[]> {
  const byText = new Map<string, ParsedUrl>();
  for (const part of list.split(',')) {
    const parsed = parseUrl(part.trim());
    if ('reason' in parsed) return parsed;
    byText.set(parsed.value.text, parsed.value);
  }
  return { value: sortedUrls([...byText.keys()]).map((text) => byText.get(text)!) };
}

const SCHEME = /^([a-zA-Z][a-zA-Z\d+.-]*):/;

function parseUrl(url: string): Parsed<ParsedUrl> {
  const scheme = SCHEME.exec(url)?.[1];
  if (scheme === undefined) {
    // An address without a scheme, such as 127.0.0.1:2379, is the commonest mistake.
    return /^[^/]*:/.test(url)
      ? { reason: `parse ${goQuote(url)}: first path segment in URL cannot contain colon` }
      : { reason: `URL scheme must be http, https, unix, or unixs: ${url}` };
  }
  const rest = url.slice(scheme.length + 1);
  switch (scheme.toLowerCase()) {
    case 'http':
      return parseHttp('http', rest, url);
    case 'https':
      return parseHttp('https', rest, url);
    case 'unix':
      return parseUnix('unix', rest, url);
    case 'unixs':
      return parseUnix('unixs', rest, url);
    default:
      return { reason: `URL scheme must be http, https, unix, or unixs: ${url}` };
  }
}

const AUTHORITY = /^\/\/([^/?#]*)(.*)$/s;
const HOST_PORT = /^(?:\[([^[\]]+)\]|([^[\]:@]*)):(\d*)$/;

function parseHttp(scheme: 'http' | 'https', rest: string, url: string): Parsed<ParsedUrl> {
  const [, authority = '', after = ''] = AUTHORITY.exec(rest) ?? [];
  const match = HOST_PORT.exec(authority);
  const port = Number(match?.[3] ?? '');
  if (match === null || port > 65_535) {
    return { reason: `URL address does not have the form "host:port": ${url}` };
  }
  if (after !== '') return { reason: `URL must not contain a path: ${url}` };
  const host = match[1] ?? match[2] ?? '';
  return { value: { scheme, host, port, path: '', text: `${scheme}://${authority}` } };
}

function parseUnix(scheme: 'unix' | 'unixs', rest: string, url: string): Parsed<ParsedUrl> {
  const path = rest.startsWith('//') ? rest.slice(2) : '';
  if (path === '') return { reason: `URL must name a socket, as in unix://path: ${url}` };
  return { value: { scheme, host: '', port: 0, path, text: `${scheme}://${path}` } };
}

/** The reason why it cannot be listened on, if there is one: names are not resolved here. */
export function bindProblem(urls: readonly ParsedUrl[]): string | undefined {
  for (const { scheme, host, text } of urls) {
    if (scheme === 'unix' || scheme === 'unixs') continue;
    if (host === 'localhost' || isIP(host) !== 0) continue;
    return `expected IP in URL for binding (${text})`;
  }
  return undefined;
}

/** The reason why it cannot be announced to others, if there is one. */
export function advertiseProblem(urls: readonly ParsedUrl[]): string | undefined {
  const bad = urls.find(({ scheme, host }) => scheme.startsWith('http') && host === '');
  return bad && `unexpected empty host (${bad.text})`;
}
