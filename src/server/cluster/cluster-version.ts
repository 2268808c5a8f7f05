// The cluster version: the leader asks each member for its release, and logs the lowest one. During a
// downgrade the cluster version is its target, until every member runs that release.

import {
  type ClusterVersion,
  compareVersions,
  formatId,
  formatStoredVersion,
  formatVersion,
  isDowngradeStep,
  parseTargetVersion,
  proposeVersion,
  SERVER_RELEASE,
  SERVER_VERSION,
  targetVersion,
} from '../../membership/index.ts';
import type { PeerEnv } from '../../peer/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { requestVersions, spokenVersion } from '../member-versions.ts';
import type { Logger } from '../telemetry/log.ts';
import { logDowngrade, logMembership, type MembershipLogParts } from './publication.ts';

interface ClusterVersionParts extends MembershipLogParts {
  readonly memberId: bigint;
  readonly config: Pick<ServerConfig, 'maxClusterVersion'>;
  readonly env: PeerEnv;
  readonly log: Logger;
  readonly raft: Pick<RaftState, 'leads'>;
  readonly store: StoreView<'cluster'>;
}

/** The version of a cluster before all members have been asked; etcd's. */
const UNKNOWN_VERSION: ClusterVersion = { major: 3, minor: 0 };

export class ClusterVersionMonitor {
  readonly #parts: ClusterVersionParts;
  /** The check in progress; never rejects. */
  #running: Promise<void> | undefined;
  /** Whether the end of a downgrade is being looked for. */
  #ending = false;

  constructor(parts: ClusterVersionParts) {
    this.#parts = parts;
  }

  /**
   * Called periodically, and when a leader has committed its first entry. Resolves when this check, or one
   * in progress, has ended.
   */
  check(): Promise<void> {
    if (!this.#parts.raft.leads) return Promise.resolve();
    this.#running ??= this.#check().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /**
   * Ends a downgrade whose target every member runs, this one included. Called periodically; resolves when
   * it is done, or not due.
   */
  async endDowngrade(): Promise<void> {
    const { raft, store, log } = this.#parts;
    const { enabled, targetVersion: text } = store.machine.cluster.downgrade;
    if (!raft.leads || !enabled || this.#ending) return;
    this.#ending = true;
    try {
      const target = parseTargetVersion(text);
      if (target === undefined || !(await this.#areAllAt(target)) || !raft.leads) return;
      log.info('the cluster has been downgraded', { 'cluster-version': text });
      const error = await logDowngrade(this.#parts, undefined, { enabled: false, ver: '' });
      if (error !== undefined) log.warn('failed to cancel downgrade', { error });
    } finally {
      this.#ending = false;
    }
  }

  async #check(): Promise<void> {
    const { raft, store, log } = this.#parts;
    const lowest = lowestOf(await this.#memberVersions());
    if (!raft.leads) return;
    const present = store.machine.cluster.version;
    const next = this.#decide(present, lowest);
    if (next === undefined) return;
    if (present === undefined) {
      log.info('setting up initial cluster version using v3 API', {
        'cluster-version': formatVersion(next),
      });
    } else {
      log.info('updating cluster version using v3 API', {
        from: formatVersion(present),
        to: formatVersion(next),
      });
    }
    const spoken =
      spokenVersion(present) ?? minOf(lowest ?? this.#ownVersion(), this.#ownVersion());
    const error = await logMembership(this.#parts, proposeVersion(spoken, next));
    if (error === undefined) {
      log.info('cluster version is updated', { 'cluster-version': formatVersion(next) });
    } else log.warn('failed to update cluster version', { error });
  }

  #decide(
    present: ClusterVersion | undefined,
    lowest: ClusterVersion | undefined,
  ): ClusterVersion | undefined {
    if (present === undefined) return lowest ?? UNKNOWN_VERSION;
    if (lowest === undefined) return undefined;
    const { enabled, targetVersion: text } = this.#parts.store.machine.cluster.downgrade;
    if (enabled) return this.#decideDowngrade(present, lowest, text);
    if (present.major !== lowest.major) return undefined;
    return compareVersions(present, lowest) < 0 ? lowest : undefined;
  }

  #decideDowngrade(
    present: ClusterVersion,
    lowest: ClusterVersion,
    text: string,
  ): ClusterVersion | undefined {
    const { log } = this.#parts;
    const target = parseTargetVersion(text);
    if (target !== undefined && compareVersions(target, present) === 0) return undefined;
    if (target === undefined || !isDowngradeStep(present, target)) {
      log.error('Cannot downgrade from cluster-version to downgrade-target', {
        'downgrade-target': text,
        'cluster-version': formatStoredVersion(present),
      });
    } else if (!isDowngradeStep(lowest, target)) {
      log.error('Cannot downgrade from minimal-server-version to downgrade-target', {
        'downgrade-target': text,
        'minimal-server-version': formatStoredVersion(lowest),
      });
    } else return target;
    log.error('Failed to monitor cluster version', { error: 'invalid downgrade target' });
    return undefined;
  }

  async #areAllAt(target: ClusterVersion): Promise<boolean> {
    for (const { id, version } of await this.#memberVersions()) {
      if (version === undefined) return false;
      if (compareVersions(version, target) === 0) continue;
      this.#parts.log.warn('remotes server has mismatching etcd version', {
        'remote-member-id': formatId(id),
        'current-server-version': formatStoredVersion(version),
        'target-version': formatStoredVersion(target),
      });
      return false;
    }
    return true;
  }

  #ownVersion(): ClusterVersion {
    return targetVersion(this.#parts.config.maxClusterVersion);
  }

  /** The releases of all members, this one's first; undefined for one that does not answer. */
  async #memberVersions(): Promise<readonly MemberVersion[]> {
    const { env, log, store, memberId } = this.#parts;
    const others = store.machine.cluster.members().filter(({ id }) => id !== memberId);
    const found = await Promise.all(
      others.map(async (member) => {
        const version = (await requestVersions(env, log, member))?.server;
        if (version !== undefined && compareVersions(version, SERVER_VERSION) > 0) {
          log.warn('leader found higher-versioned member', {
            'local-member-version': SERVER_RELEASE,
            'remote-member-id': formatId(member.id),
            'remote-member-version': formatStoredVersion(version),
          });
        }
        return { id: member.id, version };
      }),
    );
    return [{ id: memberId, version: this.#ownVersion() }, ...found];
  }
}

interface MemberVersion {
  readonly id: bigint;
  readonly version: ClusterVersion | undefined;
}

/** Undefined if one of them is not known. */
function lowestOf(members: readonly MemberVersion[]): ClusterVersion | undefined {
  let lowest: ClusterVersion | undefined;
  for (const { version } of members) {
    if (version === undefined) return undefined;
    lowest = lowest === undefined ? version : minOf(lowest, version);
  }
  return lowest;
}

function minOf(a: ClusterVersion, b: ClusterVersion): ClusterVersion {
  return compareVersions(a, b) <= 0 ? a : b;
}
