// Compatibility of members, by etcd's rules: versions and cluster ids in the headers of every request.

import {
  type ClusterVersion,
  compareVersions,
  SERVER_RELEASE,
  SERVER_VERSION,
} from '../membership/index.ts';
import type { Headers } from './http1/index.ts';
import type { PeerLog } from './types.ts';

/** The oldest cluster that this release can be a member of. */
const MIN_CLUSTER_RELEASE = '3.0.0';
const MIN_CLUSTER_VERSION: ClusterVersion = { major: 3, minor: 0 };
/** The first release with the current streams. */
const STREAMS_SINCE: ClusterVersion = { major: 2, minor: 1 };
/** Assumed version of a member that sends none. */
const UNNAMED_VERSION = '2.0.0';

export const INCOMPATIBLE_VERSION = 'incompatible version';
export const CLUSTER_MISMATCH = 'cluster ID mismatch';

/** Header names of etcd, in Go's spelling. */
export const HEADER_NAMES = {
  FROM: 'X-Server-From',
  VERSION: 'X-Server-Version',
  MIN_CLUSTER: 'X-Min-Cluster-Version',
  CLUSTER: 'X-Etcd-Cluster-Id',
  TO: 'X-Raft-To',
  URLS: 'X-Peerurls',
} as const;

export function ownHeaders(
  local: string,
  cluster: string,
  urls: readonly string[],
): Record<string, string> {
  const headers: Record<string, string> = {
    [HEADER_NAMES.FROM]: local,
    [HEADER_NAMES.VERSION]: SERVER_RELEASE,
    [HEADER_NAMES.MIN_CLUSTER]: MIN_CLUSTER_RELEASE,
    [HEADER_NAMES.CLUSTER]: cluster,
  };
  if (urls.length > 0) headers[HEADER_NAMES.URLS] = urls.join(',');
  return headers;
}

const SEMVER = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:[-+].*)?$/;

/** Undefined if the text is no version. */
function readVersion(text: string): ClusterVersion | undefined {
  const match = SEMVER.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

/**
 * Checks that the sender of a request and this member can be in one cluster: undefined if so, else the
 * text of the 412 answer, which has been logged.
 */
export function refusalOfSender(
  headers: Headers,
  own: { readonly local: string; readonly cluster: string },
  log: PeerLog,
): string | undefined {
  const server = headers.get('x-server-version') || UNNAMED_VERSION;
  const minCluster = headers.get('x-min-cluster-version') || UNNAMED_VERSION;
  const cluster = headers.get('x-etcd-cluster-id') ?? '';
  const fields = {
    'local-member-id': own.local,
    'local-member-cluster-id': own.cluster,
    'local-member-server-version': SERVER_RELEASE,
    'local-member-server-minimum-cluster-version': MIN_CLUSTER_RELEASE,
    'remote-peer-server-name': headers.get('x-server-from') ?? '',
    'remote-peer-server-version': server,
    'remote-peer-server-minimum-cluster-version': minCluster,
  };
  const error = versionError(server, minCluster, fields['remote-peer-server-name']);
  if (error !== undefined) {
    log.warn('failed version compatibility check', { ...fields, error });
    return INCOMPATIBLE_VERSION;
  }
  if (cluster !== own.cluster) {
    log.warn('request cluster ID mismatch', { ...fields, 'remote-peer-cluster-id': cluster });
    return CLUSTER_MISMATCH;
  }
  return undefined;
}

function versionError(server: string, minCluster: string, name: string): string | undefined {
  const theirs = readVersion(server);
  const theirMin = readVersion(minCluster);
  if (theirs === undefined || theirMin === undefined) {
    return `remote version cannot be read: remote[${name}]=${server}, ${minCluster}`;
  }
  const both = `remote[${name}]=${server}, local=${SERVER_RELEASE}`;
  if (compareVersions(theirs, MIN_CLUSTER_VERSION) < 0) return `remote version is too low: ${both}`;
  if (compareVersions(theirMin, SERVER_VERSION) > 0) return `local version is too low: ${both}`;
  return undefined;
}

/** Whether the member with these response headers offers streams that we can read. */
export function offersStreams(headers: Headers): boolean {
  const version = readVersion(headers.get('x-server-version') || UNNAMED_VERSION);
  return version !== undefined && compareVersions(version, STREAMS_SINCE) >= 0;
}
