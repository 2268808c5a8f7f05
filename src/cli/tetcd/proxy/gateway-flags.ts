// The flags of `tetcd gateway start`, which are etcd's.

import { boolFlag, durationFlag, type Flag, stringFlag, stringsFlag } from '../../shell/flags.ts';

export interface GatewayFlags {
  readonly listenAddr: string;
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
  readonly insecureDiscovery: boolean;
  readonly trustedCaFile: string;
  readonly endpoints: readonly string[];
  /** In milliseconds. */
  readonly retryDelay: number;
}

export function gatewayFlags(): Flag[] {
  return [
    stringFlag({
      flag: '--listen-addr',
      help: 'address to listen at',
      initial: '127.0.0.1:23790',
    }),
    stringFlag({ flag: '--discovery-srv', help: 'domain whose SRV records name the endpoints' }),
    stringFlag({ flag: '--discovery-srv-name', help: 'suffix of the service name in DNS' }),
    boolFlag({ flag: '--insecure-discovery', help: 'take SRV records without a check by TLS' }),
    stringFlag({
      flag: '--trusted-ca-file',
      help: 'authorities by which endpoints found with --discovery-srv are checked',
    }),
    stringsFlag({
      flag: '--endpoints',
      help: 'endpoints of the cluster, with commas between',
      initial: ['127.0.0.1:2379'],
    }),
    durationFlag({
      flag: '--retry-delay',
      help: 'interval at which failed endpoints are tried again',
      initial: 60_000,
    }),
  ];
}
