// The rules for the flags of a first start. They say nothing about a directory that already holds
// a member: the flags of bootstrap are ignored then.

import { goQuote } from '../../base/index.ts';
import type { ServerConfig } from './server-config.ts';

/** The settings that the rules are about. */
type BootstrapFlags = Pick<ServerConfig, 'name' | 'initialCluster' | 'advertisePeerUrls'> &
  Partial<Pick<ServerConfig, 'serviceDiscovery' | 'initialClusterState'>>;

/** Why a new member cannot start with these settings, in etcd's words; undefined if it can. */
export function bootstrapProblem(config: BootstrapFlags): string | undefined {
  if (!config.initialCluster.some((member) => member.name === nameOf(config))) {
    return `couldn't find local name ${goQuote(config.name)} in the initial cluster configuration`;
  }
  const twice = duplicate(config);
  if (twice !== undefined) return twice;
  return config.serviceDiscovery !== undefined && config.initialClusterState === 'existing'
    ? 'discovery URL should not be set when joining existing initial cluster'
    : undefined;
}

function nameOf(config: BootstrapFlags): string {
  return config.name === '' ? 'default' : config.name;
}

/** The peer URLs that `--initial-cluster` gives this member; none if it is not named there. */
export function ownInitialUrls(config: BootstrapFlags): readonly string[] {
  const self = config.initialCluster.find((member) => member.name === nameOf(config));
  return self?.peerURLs ?? [];
}

/** In etcd's words, that a founder advertises other peer URLs than `--initial-cluster` has. */
export function mismatchText(config: BootstrapFlags, difference: string): string {
  const advertised = config.advertisePeerUrls;
  const clusterUrls = ownInitialUrls(config);
  const label = (url: string): string => `${config.name}=${url}`;
  const unadvertised = clusterUrls.filter((url) => !advertised.includes(url));
  if (unadvertised.length > 0) {
    const missing = unadvertised.map(label).join(',');
    return (
      `--initial-cluster has ${missing} but missing from ` +
      `--initial-advertise-peer-urls=${advertised.join(',')} (${difference})`
    );
  }
  const unlisted = advertised.filter((url) => !clusterUrls.includes(url));
  return (
    `--initial-advertise-peer-urls has ${unlisted.join(',')} but missing from ` +
    `--initial-cluster=${advertised.map(label).join(',')}`
  );
}

function duplicate(config: BootstrapFlags): string | undefined {
  const pairs = config.initialCluster.flatMap(({ name, peerURLs }) =>
    peerURLs.map((url) => ({ url, text: `${name}=${url}` })),
  );
  if (new Set(pairs.map(({ url }) => url)).size === pairs.length) return undefined;
  const map = pairs.map(({ text }) => text).sort();
  return `initial cluster ${map.join(',')} has duplicate url`;
}
