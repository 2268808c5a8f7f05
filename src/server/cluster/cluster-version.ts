// The cluster version: the leader asks each member for its release, and logs the lowest one. During a
// downgrade the cluster version is its target.

import {
  type ClusterVersion,
  compareVersions,
  formatStoredVersion,
  formatVersion,
  parseStoredVersion,
  parseVersion,
  proposeVersion,
  targetVersion,
} from '../../membership/index.ts';
import type { PeerEnv } from '../../peer/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { requestVersions, spokenVersion } from '../member-versions.ts';
import type { Logger } from '../telemetry/log.ts';
import { logMembership, type MembershipLogParts } from './publication.ts';

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

  async #check(): Promise<void> {
    const { raft, store, log } = this.#parts;
    const lowest = await this.#lowestVersion();
    if (!raft.leads) return;
    const present = store.machine.cluster.version;
    const next = this.#decide(present, lowest);
    if (next === undefined) return;
    log.info('updating cluster version', {
      from: present === undefined ? 'not_decided' : formatVersion(present),
      to: formatVersion(next),
    });
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
    const { enabled, targetVersion: target } = this.#parts.store.machine.cluster.downgrade;
    if (!enabled) return compareVersions(present, lowest) < 0 ? lowest : undefined;
    const wanted = parseStoredVersion(target) ?? parseVersion(target);
    if (wanted === undefined || compareVersions(wanted, present) === 0) return undefined;
    const isOneBelow = (version: ClusterVersion) =>
      version.major === wanted.major && version.minor === wanted.minor + 1;
    if (isOneBelow(present) && isOneBelow(lowest)) return wanted;
    this.#parts.log.error('Cannot downgrade from cluster-version to downgrade-target', {
      'downgrade-target': formatStoredVersion(wanted),
      'cluster-version': formatStoredVersion(present),
    });
    return undefined;
  }

  #ownVersion(): ClusterVersion {
    return targetVersion(this.#parts.config.maxClusterVersion);
  }

  /** The lowest release among the members; undefined if one of them does not answer. */
  async #lowestVersion(): Promise<ClusterVersion | undefined> {
    const { env, log, store, memberId } = this.#parts;
    const others = store.machine.cluster.members().filter(({ id }) => id !== memberId);
    const versions = await Promise.all(others.map((member) => requestVersions(env, log, member)));
    let lowest = this.#ownVersion();
    for (const version of versions) {
      if (version?.server === undefined) return undefined;
      lowest = minOf(lowest, version.server);
    }
    return lowest;
  }
}

function minOf(a: ClusterVersion, b: ClusterVersion): ClusterVersion {
  return compareVersions(a, b) <= 0 ? a : b;
}
