// `--discovery-srv`: endpoints that SRV records of the DNS name. Order and texts are etcdctl's.

import { errorText } from '../shell/error-text.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import type { Io } from '../shell/io.ts';
import type { GlobalOptions } from './global-flags.ts';

type DiscoveryOptions = Pick<
  GlobalOptions,
  'discoverySrv' | 'discoverySrvName' | 'insecureDiscovery'
>;

/**
 * URLs with the names of hosts as they stand in the DNS, with a dot at their end; none without a
 * domain. Those in plaintext are left out, with a line, if they are not accepted. ERROR if neither
 * service has a record.
 */
export async function discoveredEndpoints(
  io: Io,
  { discoverySrv, discoverySrvName, insecureDiscovery }: DiscoveryOptions,
): Promise<readonly string[]> {
  if (discoverySrv === '') return [];
  const suffix = discoverySrvName === '' ? '' : `-${discoverySrvName}`;
  const found: string[] = [];
  const errors: string[] = [];
  for (const [service, scheme] of [
    ['etcd-client-ssl', 'https'],
    ['etcd-client', 'http'],
  ]) {
    try {
      const hosts = await io.resolveService(`_${service}${suffix}._tcp.${discoverySrv}`);
      for (const { host, port } of hosts) found.push(`${scheme}://${host}.:${port}`);
    } catch (error) {
      errors.push(errorText(error));
    }
  }
  if (found.length === 0) {
    throw new ExitError(EXIT.ERROR, `dns lookup errors: ${errors.join(' and ')}`);
  }
  if (insecureDiscovery) return found;
  return found.filter((endpoint) => {
    const isAccepted = !endpoint.startsWith('http://');
    if (!isAccepted) io.err(`ignoring discovered insecure endpoint "${endpoint}"\n`);
    return isAccepted;
  });
}
