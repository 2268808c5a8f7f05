// `--discovery-srv` of the proxies: endpoints that SRV records of the DNS name. Those whose connection is
// encrypted are connected to, and left out if their certificates are not for the domain.

import type { Env } from '../../../env/index.ts';
import type { SocketConnect } from '../../../net/index.ts';
import { loadCertificateFiles, socketConnect } from '../../../net/index.ts';
import type { GatewayEndpoint, ProxyLog } from '../../../proxy/index.ts';
import { asError } from '../../../server/index.ts';

const LOOKUP_TIMEOUT_MS = 10_000;
const CHECK_TIMEOUT_MS = 5000;

interface DiscoveryFlags {
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
  readonly insecureDiscovery: boolean;
}

interface DiscoveredEndpoint extends GatewayEndpoint {
  readonly url: string;
}

/** How an encrypted endpoint is tried: its certificate is for `domain`, of an authority in the file. */
export async function checkedConnect(domain: string, ca: string): Promise<SocketConnect> {
  const files = await loadCertificateFiles({ paths: { trustedCa: ca || undefined } });
  const current = () => ({ ...files.clientTls.current(), servername: domain });
  return socketConnect({ tls: { current } });
}

/** None without a domain, or if no endpoint is good. Rejects if neither service has a record. */
export async function discoveredEndpoints(
  flags: DiscoveryFlags,
  env: Pick<Env, 'network'>,
  log: ProxyLog,
  connect: () => Promise<SocketConnect>,
): Promise<readonly DiscoveredEndpoint[]> {
  const { discoverySrv, insecureDiscovery } = flags;
  if (discoverySrv === '') return [];
  const found = await lookUp(flags, env);
  const endpoints = found.map(({ url }) => url);
  log.info('discovered cluster from SRV', { 'srv-server': discoverySrv, endpoints });
  if (insecureDiscovery) return found;
  log.info('validating discovered SRV endpoints', { 'srv-server': discoverySrv, endpoints });
  const tried = await connect();
  const problems = await Promise.all(found.map((endpoint) => problemOf(endpoint, tried)));
  const reasons = problems.filter((problem) => problem !== undefined);
  const good = found.filter((_, i) => problems[i] === undefined);
  const fields = { 'srv-server': discoverySrv, endpoints: good.map(({ url }) => url) };
  if (reasons.length === 0) log.info('using validated discovered SRV endpoints', fields);
  else {
    const error = new Error(reasons.join(','));
    log.warn('failed to validate discovered endpoints', { ...fields, error });
  }
  return good;
}

async function lookUp(
  { discoverySrv, discoverySrvName }: DiscoveryFlags,
  { network }: Pick<Env, 'network'>,
): Promise<readonly DiscoveredEndpoint[]> {
  const suffix = discoverySrvName === '' ? '' : `-${discoverySrvName}`;
  const found: DiscoveredEndpoint[] = [];
  const errors: string[] = [];
  for (const [service, scheme] of [
    ['etcd-client-ssl', 'https'],
    ['etcd-client', 'http'],
  ]) {
    const name = `_${service}${suffix}._tcp.${discoverySrv}`;
    try {
      const hosts = await network.resolveService(name, LOOKUP_TIMEOUT_MS);
      for (const one of hosts) found.push({ ...one, url: `${scheme}://${one.host}:${one.port}` });
    } catch (error) {
      errors.push(asError(error).message);
    }
  }
  if (found.length === 0) throw new Error(`dns lookup errors: ${errors.join(' and ')}`);
  return found;
}

async function problemOf(
  { url, host, port }: DiscoveredEndpoint,
  connect: SocketConnect,
): Promise<string | undefined> {
  if (!url.startsWith('https://')) return `"${url}" is insecure`;
  try {
    const stream = await connect({ host, port }, CHECK_TIMEOUT_MS);
    stream.destroy();
    return undefined;
  } catch (error) {
    return `"${url}" failed to dial (${asError(error).message})`;
  }
}
