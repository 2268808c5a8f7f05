// Release and cluster version of other members, requested at their peer ports.

import { utf8FromBytes } from '../base/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  formatId,
  type Member,
  OLDEST_CLUSTER_VERSION,
  parseStoredVersion,
} from '../membership/index.ts';
import { type PeerEnv, type PeerResponse, requestPeer } from '../peer/index.ts';
import { PEER_ANSWER_BYTES_MAX, PEER_REQUEST_TIMEOUT_MS } from './limits.ts';
import type { Logger } from './telemetry/log.ts';

interface MemberVersions {
  /** Release of the member; undefined if it cannot be parsed. */
  readonly server: ClusterVersion | undefined;
  /** Cluster version; undefined while it has none. */
  readonly cluster: ClusterVersion | undefined;
}

/** Undefined, with a log line, if the member does not answer. */
export async function requestVersions(
  env: PeerEnv,
  log: Logger,
  member: Member,
): Promise<MemberVersions | undefined> {
  const answer = await requestOfMember(env, log, member, '/version');
  if (answer?.status !== 200) return undefined;
  try {
    const fields: unknown = JSON.parse(utf8FromBytes(answer.body));
    return { server: versionIn(fields, 'etcdserver'), cluster: versionIn(fields, 'etcdcluster') };
  } catch (error) {
    log.warn('failed to unmarshal response', {
      'remote-member-id': formatId(member.id),
      error: String(error),
    });
    return undefined;
  }
}

function versionIn(fields: unknown, key: string): ClusterVersion | undefined {
  if (typeof fields !== 'object' || fields === null) return undefined;
  const text = (fields as Record<string, unknown>)[key];
  // A pre-release has a suffix: 3.6.0-rc.1.
  return typeof text === 'string' ? parseStoredVersion(text.replace(/[-+].*$/, '')) : undefined;
}

/**
 * The cluster version, unless it is the placeholder of a cluster in which some member has not been asked:
 * then it does not say which dialect the members read.
 */
export function spokenVersion(version: ClusterVersion | undefined): ClusterVersion | undefined {
  if (version === undefined || compareVersions(version, OLDEST_CLUSTER_VERSION) < 0)
    return undefined;
  return version;
}

/** GET of `path` at the first of the member's URLs that answers. */
export async function requestOfMember(
  env: PeerEnv,
  log: Logger,
  member: Member,
  path: string,
): Promise<PeerResponse | undefined> {
  for (const url of member.peerURLs) {
    try {
      return await requestPeer(env, {
        url,
        method: 'GET',
        path,
        timeoutMs: PEER_REQUEST_TIMEOUT_MS,
        bodyBytesMax: PEER_ANSWER_BYTES_MAX,
      });
    } catch (error) {
      log.warn('failed to reach the peer URL', {
        address: `${url}${path}`,
        'remote-member-id': formatId(member.id),
        error: String(error),
      });
    }
  }
  return undefined;
}
