// The feature gate SetMemberLocalAddr: the address that connections to other members come from.

import { isIP } from 'node:net';
import type { ServerConfig } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';

/**
 * The first IP address among the advertised peer URLs that other machines can reach; undefined, with a
 * warning, if there is none, and while the gate is closed.
 */
export function memberLocalAddress(
  { advertisePeerUrls, featureGates }: Pick<ServerConfig, 'advertisePeerUrls' | 'featureGates'>,
  log: Pick<Logger, 'info' | 'warn'>,
): string | undefined {
  if (!featureGates.enabled.SetMemberLocalAddr) return undefined;
  const urls = { 'advertise-peer-urls': advertisePeerUrls };
  log.info('searching for a suitable member local address in AdvertisePeerURLs', urls);
  for (const url of advertisePeerUrls) {
    const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
    if (isIP(host) === 0 || isLoopback(host) || isUnspecified(host)) continue;
    log.info('setting member local address', { LocalAddr: host });
    return host;
  }
  log.warn('unable to set a member local address due to lack of suitable local addresses', urls);
  return undefined;
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1' || /^::ffff:7f/.test(host);
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
