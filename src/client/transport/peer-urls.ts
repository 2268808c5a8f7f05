// Checks peer URLs before they are sent: a cluster with a member under a meaningless URL is hard to
// repair. Error texts are those of etcd's own client.

import { checkTexts } from '../arguments.ts';
import { invalidArgument } from '../errors.ts';

const SCHEME = /^([a-zA-Z][a-zA-Z\d+.-]*):(.*)$/s;
const AUTHORITY = /^\/\/([^/?#]*)([^?#]*)/s;
const HOST_PORT = /^(?:\[[^[\]]*\]|[^[\]:]*):\d*$/;

/** INVALID_ARGUMENT unless each is `http://host:port`, `https://host:port`, `unix:…` or `unixs:…`. */
export function checkPeerUrls(urls: readonly string[]): void {
  checkTexts(urls, 'peerUrls');
  if (urls.length === 0) throw invalidArgument('no valid URLs given');
  for (const url of urls) {
    const problem = problemOf(url.trim());
    if (problem !== undefined) throw invalidArgument(problem);
  }
}

function problemOf(url: string): string | undefined {
  const quoted = JSON.stringify(url);
  if (url.startsWith(':')) return `parse ${quoted}: missing protocol scheme`;
  const [, scheme = '', rest = ''] = SCHEME.exec(url) ?? [];
  switch (scheme.toLowerCase()) {
    case 'unix':
    case 'unixs':
      return undefined;
    case 'http':
    case 'https':
      return problemAfterScheme(rest, url);
    case '':
      // An address without a scheme, such as 127.0.0.1:2380, is the most common mistake.
      if (/^[^/?#]*:/.test(url)) {
        return `parse ${quoted}: first path segment in URL cannot contain colon`;
      }
      break;
    default:
  }
  return `URL scheme must be http, https, unix, or unixs: ${url}`;
}

function problemAfterScheme(rest: string, url: string): string | undefined {
  const [, authority = '', path = ''] = AUTHORITY.exec(rest) ?? [];
  const place = authority.slice(authority.lastIndexOf('@') + 1);
  const port = /:([^:\]]*)$/.exec(place)?.[1];
  if (port !== undefined && !/^\d*$/.test(port)) {
    return `parse ${JSON.stringify(url)}: invalid port ${JSON.stringify(`:${port}`)} after host`;
  }
  if (!HOST_PORT.test(place)) {
    return `URL address does not have the form "host:port": ${url}`;
  }
  return path === '' ? undefined : `URL must not contain a path: ${url}`;
}
