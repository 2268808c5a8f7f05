// The first start of a member: it founds a cluster with the other members in `--initial-cluster`, or
// joins a running one. Rules and texts are etcd's.

import {
  ERROR_CODES,
  goQuote,
  latin1FromBytes,
  TetcdError,
  utf8FromBytes,
} from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import {
  bootstrapClusterId,
  bootstrapMembers,
  formatId,
  joinMembers,
  MEMBERSHIP_REFUSALS,
  type Member,
  parseId,
  parseMembers,
  SERVER_VERSION,
  sortedUrls,
} from '../../membership/index.ts';
import { type PeerEnv, requestPeer } from '../../peer/index.ts';
import {
  bootstrapProblem,
  mismatchText,
  ownInitialUrls,
  type ServerConfig,
} from '../config/index.ts';
import { BOOTSTRAP_TIMEOUT_MS, JOIN_TIMEOUT_MS, PEER_ANSWER_BYTES_MAX } from '../limits.ts';
import { requestOfMember, requestVersions } from '../member-versions.ts';
import type { Logger } from '../telemetry/log.ts';
import { PeerUrlComparison } from './peer-url-comparison.ts';

/** Identity of this member, and the members that it starts with. */
export interface FirstStart {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** Members known before the log names them, this one included. */
  readonly members: readonly Member[];
  /** Whether the log begins here, with entries that add `members`; a joiner receives it. */
  readonly founds: boolean;
}

interface FirstStartOptions {
  readonly config: ServerConfig;
  readonly env: PeerEnv & Pick<Env, 'entropy'>;
  readonly log: Logger;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Determines identity and members. INVALID_ARGUMENT for conflicting settings or a cluster that cannot be
 * joined, UNAVAILABLE if no member of a running cluster answers.
 */
export async function firstStart(options: FirstStartOptions): Promise<FirstStart> {
  const { config } = options;
  const problem = bootstrapProblem(config);
  if (problem !== undefined) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, problem);
  return config.initialClusterState === 'new' ? await found(options) : await join(options);
}

/** The new cluster of the settings, without requests to others. INVALID_ARGUMENT if there is none. */
export function founders(config: ServerConfig): FirstStart {
  const problem = bootstrapProblem(config);
  if (problem !== undefined) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, problem);
  const members = bootstrapMembers(config.initialCluster, config.initialClusterToken);
  const own = members.find((member) => member.name === config.name)!;
  return { memberId: own.id, clusterId: bootstrapClusterId(members), members, founds: true };
}

async function found(options: FirstStartOptions): Promise<FirstStart> {
  const { config } = options;
  const start = founders(config);
  const urls = new PeerUrlComparison(options.env, options.log);
  const difference = await urls.difference(config.advertisePeerUrls, ownInitialUrls(config));
  if (difference !== undefined) {
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, mismatchText(config, difference));
  }
  // A member that lost its data must not found the cluster again and vote a second time.
  const running = await membersFromOthers(options, BOOTSTRAP_TIMEOUT_MS, false);
  const known = running?.members.find((member) => member.id === start.memberId);
  if (known !== undefined && known.clientURLs.length > 0) {
    throw new TetcdError(
      ERROR_CODES.INVALID_ARGUMENT,
      `member ${formatId(start.memberId)} has already been bootstrapped`,
    );
  }
  return discovered(options, start);
}

/**
 * The members that register at the discovery service, if one is set: `start` is this member alone then, with
 * the id that it registers under. Rejects with a DiscoveryError.
 */
export async function discovered(
  { config, env, log, signal }: FirstStartOptions,
  start: FirstStart,
): Promise<FirstStart> {
  const { serviceDiscovery: discovery } = config;
  if (discovery === undefined) return start;
  log.info('Bootstrapping cluster using v3 discovery.');
  // Loaded by those that find each other so.
  const { joinCluster } = await import('./service-discovery.ts');
  const self = pairsOf(config.initialCluster).join(',');
  const initialCluster = await joinCluster({ discovery, env, log, signal }, start.memberId, self);
  const pairs = pairsOf(initialCluster);
  const refused = (text: string): TetcdError =>
    new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `discovery cluster ${pairs.join(',')} ${text}`);
  if (new Set(initialCluster.flatMap(({ peerURLs }) => peerURLs)).size < pairs.length) {
    throw refused('has duplicate url');
  }
  const members = bootstrapMembers(initialCluster, config.initialClusterToken);
  // Members of one name would become one.
  if (!members.some(({ id }) => id === start.memberId)) {
    throw refused(`has several members of the name ${goQuote(config.name)}`);
  }
  return { ...start, clusterId: bootstrapClusterId(members), members };
}

function pairsOf(members: ServerConfig['initialCluster']): string[] {
  return members.flatMap(({ name, peerURLs }) => peerURLs.map((url) => `${name}=${url}`));
}

async function join(options: FirstStartOptions): Promise<FirstStart> {
  const { config, log } = options;
  const running = await membersFromOthers(options, JOIN_TIMEOUT_MS, true);
  if (running === undefined) {
    throw new TetcdError(
      ERROR_CODES.UNAVAILABLE,
      'cannot fetch cluster info from peer urls: could not retrieve cluster information from the ' +
        'given URLs',
    );
  }
  const members = await matched(options, running.members);
  const own = members.find((member) => member.name === config.name)!;
  await checkVersions(options, members, own.id);
  const learners = running.members.filter((member) => member.isLearner).length;
  if (learners > config.maxLearners) {
    log.warn('the cluster has more learners than this member allows', {
      learners,
      'max-learners': config.maxLearners,
    });
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, MEMBERSHIP_REFUSALS.TOO_MANY_LEARNERS);
  }
  return { memberId: own.id, clusterId: running.clusterId, members, founds: false };
}

async function matched(
  { config, env, log }: FirstStartOptions,
  existing: readonly Member[],
): Promise<Member[]> {
  try {
    return await joinMembers(config.initialCluster, existing, new PeerUrlComparison(env, log));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TetcdError(
      ERROR_CODES.INVALID_ARGUMENT,
      `error validating peerURLs ${describeMembers(existing)}: ${reason}`,
      { cause: error },
    );
  }
}

function describeMembers(members: readonly Member[]): string {
  return members.map(({ id, peerURLs }) => `${formatId(id)}=[${peerURLs.join(' ')}]`).join(', ');
}

interface Running {
  readonly clusterId: bigint;
  readonly members: readonly Member[];
}

/** The member list of the first other member that answers. */
async function membersFromOthers(
  { config, env, log }: FirstStartOptions,
  timeoutMs: number,
  isNeeded: boolean,
): Promise<Running | undefined> {
  const others = config.initialCluster.filter((member) => member.name !== config.name);
  for (const url of sortedUrls(others.flatMap(({ peerURLs }) => peerURLs))) {
    try {
      const answer = await requestPeer(env, {
        url,
        method: 'GET',
        path: '/members',
        timeoutMs,
        bodyBytesMax: PEER_ANSWER_BYTES_MAX,
      });
      const what = `answer of ${url}/members`;
      if (answer.status !== 200) {
        throw new TetcdError(
          ERROR_CODES.MALFORMED,
          `${what}: status ${answer.status} ${latin1FromBytes(answer.body).trim()}`,
        );
      }
      const members = parseMembers(utf8FromBytes(answer.body), what);
      const clusterId = parseId(answer.headers['x-etcd-cluster-id'] ?? '', what);
      // It does not know its cluster yet.
      if (members.length === 0) continue;
      return { clusterId, members };
    } catch (error) {
      if (isNeeded)
        log.warn('failed to get cluster response', { address: url, error: String(error) });
    }
  }
  return undefined;
}

/**
 * Refuses a cluster whose version this release does not support. During a downgrade both releases may
 * join: this one is the target of a cluster one minor release above, or above it.
 */
async function checkVersions(
  options: FirstStartOptions,
  members: readonly Member[],
  ownId: bigint,
): Promise<void> {
  const { env, log } = options;
  const others = members.filter((member) => member.id !== ownId);
  const versions = await Promise.all(others.map((member) => requestVersions(env, log, member)));
  let isConfirmed = false;
  for (const [i, version] of versions.entries()) {
    const cluster = version?.cluster;
    if (cluster === undefined) continue;
    const ahead =
      (cluster.major - SERVER_VERSION.major) * 1000 + cluster.minor - SERVER_VERSION.minor;
    const mayBeAhead = ahead === 1 && (await isDowngrading(options, others));
    if (cluster.major < 3 || (ahead > 0 && !mayBeAhead)) {
      log.warn('cluster version of remote member is not compatible', {
        'remote-member-id': formatId(others[i]!.id),
        'remote-member-cluster-version': `${cluster.major}.${cluster.minor}.0`,
      });
      throw new TetcdError(
        ERROR_CODES.INVALID_ARGUMENT,
        'incompatible with current running cluster',
      );
    }
    isConfirmed = true;
  }
  if (!isConfirmed) {
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'incompatible with current running cluster');
  }
}

async function isDowngrading(
  { env, log }: FirstStartOptions,
  others: readonly Member[],
): Promise<boolean> {
  for (const member of others) {
    const answer = await requestOfMember(env, log, member, '/downgrade/enabled');
    if (answer?.status === 200) return utf8FromBytes(answer.body) === 'true';
  }
  return false;
}
