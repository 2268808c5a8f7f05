// Who offers a service: SRV records, asked of the system's name servers by datagrams, without a thread.
// A name is asked for as it is: the search domains of the system are not tried.

import { getServers, Resolver } from 'node:dns';
import { ERROR_CODES, TetcdError } from '../base/index.ts';
import type { ServiceHost } from '../env/index.ts';
import { SERVICE_LOOKUP_TIMEOUT_MS, SERVICE_LOOKUP_TRIES } from './limits.ts';

/** As `Network.resolveService`. `servers`: addresses of name servers in place of the system's. */
export function resolveService(
  name: string,
  timeoutMs: number,
  servers: readonly string[] = getServers(),
): Promise<readonly ServiceHost[]> {
  const resolver = new Resolver({
    timeout: SERVICE_LOOKUP_TIMEOUT_MS,
    tries: SERVICE_LOOKUP_TRIES,
  });
  resolver.setServers(servers);
  const timer = setTimeout(() => resolver.cancel(), timeoutMs);
  return new Promise((resolve, reject) => {
    resolver.resolveSrv(name, (error, records) => {
      clearTimeout(timer);
      if (error !== null || records.length === 0) {
        reject(lookupFailure(name, servers, error));
        return;
      }
      // The heavier of two records of one priority first: who wants the load spread spreads it himself.
      records.sort((a, b) => a.priority - b.priority || b.weight - a.weight);
      resolve(
        records.map(({ name: host, port, priority, weight }) => ({ host, port, priority, weight })),
      );
    });
  });
}

/** What Go says, by the code of Node. */
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  ENODATA: 'no such host',
  ESERVFAIL: 'server misbehaving',
  EREFUSED: 'server misbehaving',
  EBADNAME: 'no such host',
  ETIMEOUT: 'i/o timeout',
  ECANCELLED: 'i/o timeout',
  ECONNREFUSED: 'connection refused',
};

function lookupFailure(
  name: string,
  [server]: readonly string[],
  error: NodeJS.ErrnoException | null,
): TetcdError {
  const reason = error === null ? 'no such host' : (REASONS[error.code ?? ''] ?? error.message);
  const asked = server === undefined ? '' : ` on ${withPort(server)}`;
  const text = `lookup ${name}${asked}: ${reason}`;
  return new TetcdError(ERROR_CODES.UNAVAILABLE, text, { cause: error });
}

function withPort(server: string): string {
  if (!server.includes(':')) return `${server}:53`;
  // An IPv6 address without a port has no brackets.
  return server.includes('.') || server.startsWith('[') ? server : `[${server}]:53`;
}
