// What browsers may be used for: pages of which origins may read answers (`--cors`), and under which names of
// this host a page may have been loaded (`--host-whitelist`).
//
// A page can have its own name resolve to this host (DNS rebinding): then its requests are of one origin
// with what they ask, and only the name in `Host` betrays them. With TLS no such name is in the certificate.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { goQuote } from '../../base/index.ts';
import type { HttpAccessConfig } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { respondError } from './respond.ts';

const EVERYBODY = '*';
const ABSOLUTE = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)/i;
const HOST_PORT = /^(?:\[([^[\]]*)\]|([^[\]:]*)):[^[\]:]*$/;

export class HttpAccess {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  constructor(config: HttpAccessConfig, log: Pick<Logger, 'warn'>) {
    this.#log = log;
    this.#hosts = new Set(config.hosts);
    this.#origins = new Set(config.origins);
  }

  /** Whether the request is for a host of a name that is listed, or encrypted. */
  isForUs(request: IncomingMessage): boolean {
    return this.#hosts.has(EVERYBODY) || isEncrypted(request) || this.#hosts.has(hostOf(request));
  }

  /** The answer to a request that is not {@link isForUs}. */
  refuse(request: IncomingMessage, response: ServerResponse): void {
    const host = hostOf(request);
    this.#log.warn('rejecting HTTP request to prevent DNS rebinding attacks', { host });
    respondError(response, 421, unrecognized(host));
  }

  /** Tells browsers whether the page that asked may see the answer. */
  setHeaders({ headers }: IncomingMessage, response: ServerResponse): void {
    const allowed = this.#origins.has(EVERYBODY) ? EVERYBODY : (headers.origin ?? '');
    if (!this.#origins.has(allowed)) return;
    response.setHeader('Access-Control-Allow-Methods', 'POST, GET, OPTIONS, PUT, DELETE');
    response.setHeader('Access-Control-Allow-Origin', allowed);
    response.setHeader('Access-Control-Allow-Headers', 'accept, content-type, authorization');
  }
}

function isEncrypted({ socket }: IncomingMessage): boolean {
  return 'encrypted' in socket && socket.encrypted === true;
}

/** Without its port; that of the request's target comes before the header's. */
function hostOf({ url = '', headers }: IncomingMessage): string {
  const host = ABSOLUTE.exec(url)?.[1] ?? headers.host ?? '';
  const [, bracketed, name = bracketed] = HOST_PORT.exec(host) ?? [];
  return name ?? host;
}

function unrecognized(host: string): string {
  return `
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist ${goQuote(host)}

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).
`;
}
