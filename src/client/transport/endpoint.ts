// Endpoints as text, in the form of etcd's tools.

import type { Endpoint } from '../../grpc/index.ts';
import { checkText, checkTexts } from '../arguments.ts';
import { invalidArgument } from '../errors.ts';

const DEFAULT_PORT = 2379;

interface ParsedEndpoint {
  /** For a Unix socket, `host` is the name that its certificate must carry: the file's. */
  readonly endpoint: Endpoint;
  /** Whether its scheme is encrypted; undefined without a scheme. */
  readonly secure: boolean | undefined;
}

/**
 * `host`, `host:port`, `[v6]:port`, `http://…`, `https://…`, `unix:/path`, `unix:///path`, `unixs:…`.
 * A path after the port of a URL is ignored, as etcd does. INVALID_ARGUMENT names the text.
 */
export function parseEndpoint(text: string): ParsedEndpoint {
  checkText(text, 'endpoint');
  const match = /^(https?|unixs?):(?:\/\/)?(.*)$/s.exec(text.trim());
  const scheme = match?.[1];
  const rest = match?.[2] ?? text.trim();
  if (scheme === 'unix' || scheme === 'unixs') {
    if (rest === '') throw invalidArgument(`endpoint ${JSON.stringify(text)} has no path`);
    // As in etcd, the name ends at a colon.
    const host = rest.slice(rest.lastIndexOf('/') + 1).replace(/:.*$/s, '');
    return {
      endpoint: { host, port: 0, path: rest, authority: 'localhost' },
      secure: scheme === 'unixs' ? true : undefined,
    };
  }
  const place = scheme === undefined ? rest : rest.replace(/[/?#].*$/s, '');
  const secure = scheme === undefined ? undefined : scheme === 'https';
  return { endpoint: hostAndPort(place, text), secure };
}

function hostAndPort(place: string, text: string): Endpoint {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/.exec(place);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) {
    throw invalidArgument(`endpoint ${shown(text)} is not host:port or a URL`);
  }
  const port = match[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (port < 1 || port > 65_535) {
    throw invalidArgument(`endpoint ${shown(text)} has a port out of range`);
  }
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  // As in Go, the dot at the end of a whole name is part of no name in /etc/hosts or in a certificate.
  return { host: host.length > 1 ? host.replace(/\.$/, '') : host, port, authority };
}

/** The text for error messages, without a possible password. */
function shown(text: string): string {
  return JSON.stringify(text.replace(/[^/]*@/, '***@'));
}

/**
 * All endpoints with their schemes. One without a scheme is encrypted if the client `encrypts` or another
 * endpoint is.
 */
export function parseEndpoints(texts: readonly string[], encrypts: boolean): readonly Endpoint[] {
  checkTexts(texts, 'endpoints');
  if (texts.length === 0) throw invalidArgument('no endpoints given');
  const parsed = texts.map(parseEndpoint);
  const otherwise = encrypts || parsed.some(({ secure }) => secure === true);
  return parsed.map(({ endpoint, secure = otherwise }) => ({
    ...endpoint,
    scheme: secure ? 'https' : 'http',
  }));
}

export function isEncrypted({ scheme }: Endpoint): boolean {
  return scheme === 'https';
}
