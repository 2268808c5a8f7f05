// How a new member finds the others: the settings of discovery, and what they say together. The texts of
// refusals are etcd's.

import type { FlagValues } from './flags.ts';
import type { ServerConfig } from './server-config.ts';

/** The DNS names the members of a new cluster: SRV records. */
export interface SrvDiscovery {
  /** Domain, as `example.com`. */
  readonly domain: string;
  /** Suffix of the names of services; may be empty. */
  readonly serviceName: string;
}

/** Another cluster names the members of a new one: they register there. */
export interface ServiceDiscovery {
  /** Of the new cluster, there. */
  readonly token: string;
  /** Client addresses, as the client takes them. Not empty. */
  readonly endpoints: readonly string[];
  readonly dialTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Not positive: never. */
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Bytes of a request and of a response; 0: the client's own limits. */
  readonly sendBytesMax: number;
  readonly receiveBytesMax: number;
  readonly tls: {
    /** Whether addresses without a scheme are in plaintext if no file is given. */
    readonly insecureTransport: boolean;
    readonly insecureSkipVerify: boolean;
    /** Paths; empty where there is no file. */
    readonly certFile: string;
    readonly keyFile: string;
    readonly trustedCaFile: string;
    /** That a certificate must be for; empty: the host connected to. */
    readonly serverName: string;
  };
  /** Undefined unless there is a token, or a user with a password. */
  readonly auth:
    | { readonly user: string; readonly password: string }
    | { readonly token: string }
    | undefined;
}

/** Whether something other than `--initial-cluster` names the members, unless that is given too. */
export function replacesInitialCluster(values: FlagValues): boolean {
  return (
    values['discovery-srv'] !== '' ||
    values['discovery-srv-name'] !== '' ||
    values['discovery-endpoints'].length > 0
  );
}

/** Why the flags of discovery cannot be used together; undefined if they can. */
export function discoveryProblem(
  values: FlagValues,
  given: ReadonlySet<string>,
): string | undefined {
  const { 'discovery-srv': domain, 'discovery-endpoints': endpoints } = values;
  const hasEndpoints = endpoints.length > 0;
  const hasCluster = given.has('initial-cluster') && values['initial-cluster'] !== '';
  if ([hasCluster, domain !== '', hasEndpoints].filter(Boolean).length > 1) {
    return (
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", ' +
      '"discovery-endpoints" or "discovery-srv"'
    );
  }
  if ((values['discovery-token'] !== '') !== hasEndpoints) {
    return 'both --discovery-token and --discovery-endpoints must be set';
  }
  if (endpoints.some((endpoint) => endpoint.trim() === '')) {
    return '--discovery-endpoints must not contain empty endpoints';
  }
  return undefined;
}

export function assembleDiscovery(
  values: FlagValues,
): Pick<ServerConfig, 'srvDiscovery' | 'serviceDiscovery'> {
  return { srvDiscovery: srvDiscoveryOf(values), serviceDiscovery: serviceDiscoveryOf(values) };
}

function srvDiscoveryOf(values: FlagValues): SrvDiscovery | undefined {
  const { 'discovery-srv': domain, 'discovery-srv-name': serviceName } = values;
  return domain === '' ? undefined : { domain, serviceName };
}

function serviceDiscoveryOf(values: FlagValues): ServiceDiscovery | undefined {
  const endpoints = values['discovery-endpoints'];
  if (endpoints.length === 0) return undefined;
  return {
    token: values['discovery-token'],
    endpoints,
    dialTimeoutMs: values['discovery-dial-timeout'],
    requestTimeoutMs: values['discovery-request-timeout'],
    keepaliveTimeMs: values['discovery-keepalive-time'],
    keepaliveTimeoutMs: values['discovery-keepalive-timeout'],
    sendBytesMax: Math.max(0, values['discovery-config.client.max-request-bytes']),
    receiveBytesMax: Math.max(0, values['discovery-config.client.max-recv-bytes']),
    tls: {
      insecureTransport: values['discovery-insecure-transport'],
      insecureSkipVerify: values['discovery-insecure-skip-tls-verify'],
      certFile: values['discovery-cert'],
      keyFile: values['discovery-key'],
      trustedCaFile: values['discovery-cacert'],
      serverName: values['discovery-config.client.secure.server-name'],
    },
    auth: authOf(values),
  };
}

/** As in etcd, a user without a password is none. */
function authOf(values: FlagValues): ServiceDiscovery['auth'] {
  const token = values['discovery-config.client.auth.token'];
  if (token !== '') return { token };
  const { 'discovery-user': user, 'discovery-password': password } = values;
  return user === '' || password === '' ? undefined : { user, password };
}
