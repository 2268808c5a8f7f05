// `--discovery-srv`: SRV records of the DNS name the members of a new cluster. Those of _etcd-server-ssl are
// reached by https, those of _etcd-server by http. A record names no member: the one at an address that
// this member advertises is this member, the others are numbered. Rules and texts are etcd's.

import { isIP } from 'node:net';
import { ERROR_CODES, goQuote, TetcdError } from '../../base/index.ts';
import type { PeerEnv } from '../../peer/index.ts';
import { type InitialMember, parseInitialCluster, type ServerConfig } from '../config/index.ts';
import { NAME_LOOKUP_TIMEOUT_MS } from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';

interface SrvDiscoveryOptions {
  readonly config: ServerConfig;
  readonly env: PeerEnv;
  readonly log: Logger;
}

/** Records of one service, and the scheme of the URLs that they make. */
interface Service {
  readonly scheme: 'https' | 'http';
  readonly name: string;
}

/**
 * The settings with the members that the DNS names, where `--discovery-srv` asks for it. INVALID_ARGUMENT if
 * there are none, or this member is not among them.
 */
export async function withSrvCluster(options: SrvDiscoveryOptions): Promise<ServerConfig> {
  const { config } = options;
  const { srvDiscovery } = config;
  return srvDiscovery === undefined
    ? config
    : { ...config, initialCluster: await srvCluster(options, srvDiscovery) };
}

async function srvCluster(
  options: SrvDiscoveryOptions,
  { domain, serviceName }: NonNullable<ServerConfig['srvDiscovery']>,
): Promise<readonly InitialMember[]> {
  const { config, log } = options;
  const suffix = serviceName === '' ? '' : `-${serviceName}`;
  const services: readonly Service[] = [
    { scheme: 'https', name: `etcd-server-ssl${suffix}` },
    { scheme: 'http', name: `etcd-server${suffix}` },
  ];
  const found: string[] = [];
  const errors: string[] = [];
  for (const service of services) {
    const { members, error } = await membersOf(options, service, domain);
    found.push(...members);
    if (error !== undefined) errors.push(error);
    // As etcd names them: by the flag and the service without its suffix.
    log.info(`get cluster for etcd-server${service.scheme === 'https' ? '-ssl' : ''} SRV`, {
      'service-scheme': service.scheme,
      'service-name': service.name,
      'server-name': config.name,
      'discovery-srv': domain,
      'advertise-peer-urls': config.advertisePeerUrls,
      'found-cluster': found.slice(),
      ...(error === undefined ? {} : { error }),
    });
  }
  const error = errors.join('\n');
  if (error !== '') log.warn('failed to resolve during SRV discovery', { error });
  if (found.length === 0) throw refused(error);
  for (const node of found) log.info('got bootstrap from DNS for etcd-server', { node });
  const members = parseInitialCluster(found.join(','));
  if (typeof members === 'string') throw refused(members);
  if (!members.some(({ name }) => name === config.name)) {
    throw refused(`cannot find local etcd member ${goQuote(config.name)} in SRV records`);
  }
  return members;
}

function refused(reason: string): TetcdError {
  const text = `error setting up initial cluster: ${reason}`;
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
}

interface Found {
  /** `name=URL` each. */
  readonly members: readonly string[];
  /** Set only if there are none. */
  readonly error: string | undefined;
}

async function membersOf(
  { config, env }: SrvDiscoveryOptions,
  { scheme, name }: Service,
  domain: string,
): Promise<Found> {
  const failed = (error: string): Found => ({
    members: [],
    error: `error querying DNS SRV records for _${name} ${error}`,
  });
  const own = new Map<string, string>();
  try {
    for (const url of config.advertisePeerUrls) own.set(await addressOfUrl(env, url), url);
  } catch (error) {
    return { members: [], error: asError(error).message };
  }
  const members: string[] = [];
  let problem: string | undefined;
  let others = 0;
  try {
    const service = `_${name}._tcp.${domain}`;
    const hosts = await env.network.resolveService(service, NAME_LOOKUP_TIMEOUT_MS);
    for (const { host, port } of hosts) {
      let url: string | undefined;
      try {
        url = own.get(await addressOf(env, host, port));
      } catch (error) {
        problem = asError(error).message;
        continue;
      }
      const found = `${scheme}://${joined(host, port)}`;
      if (url !== undefined && !url.startsWith(`${scheme}://`)) {
        problem =
          `bootstrap at ${found} from DNS for ${name} has scheme mismatch with ` +
          `expected peer ${url}`;
      } else members.push(`${url === undefined ? others++ : config.name}=${found}`);
    }
  } catch (error) {
    return failed(asError(error).message);
  }
  return members.length === 0 && problem !== undefined
    ? failed(problem)
    : { members, error: undefined };
}

async function addressOfUrl(env: PeerEnv, url: string): Promise<string> {
  const { protocol, hostname, port } = new URL(url);
  if (protocol.startsWith('unix')) {
    throw new TetcdError(
      ERROR_CODES.INVALID_ARGUMENT,
      `address ${url.slice(url.indexOf('://') + 3)}: missing port in address`,
    );
  }
  const byDefault = protocol === 'https:' ? 443 : 80;
  return addressOf(env, hostname.replace(/^\[(.*)\]$/, '$1'), Number(port || byDefault));
}

/** IP address and port, by which two names of one member are the same. */
async function addressOf({ network }: PeerEnv, host: string, port: number): Promise<string> {
  const ip =
    isIP(host) === 0 ? await network.resolve(host, NAME_LOOKUP_TIMEOUT_MS, 'ipv4first') : host;
  return joined(ip, port);
}

function joined(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
