// `preflight`: which releases can take the directory of a stopped member, and why others cannot.
//
// A release starts on a directory whose database has its own storage version or an older one, whose cluster
// version is not above its own, and whose log after the newest snapshot it can read. Down to an older one
// the database must be migrated first, as the last step of a downgrade does it.

import { Slices } from '../base/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  formatStoredVersion,
  formatVersion,
  SERVER_VERSION,
} from '../membership/index.ts';
import { minimalVersionOf, planMigration } from '../store/index.ts';
import {
  checkDirectory,
  type DirectoryCheck,
  type DirectoryOptions,
  type Problem,
} from './check-directory.ts';
import type { OfflineEnv } from './types.ts';

/** The oldest release whose directories can be told from those of others. */
const OLDEST: ClusterVersion = { major: 3, minor: 5 };

/** What one release makes of the directory. */
interface ReleaseVerdict {
  readonly release: ClusterVersion;
  readonly kind: 'starts' | 'afterMigration' | 'refuses';
  /** Why it refuses; empty otherwise. */
  readonly reasons: readonly string[];
}

interface Preflight {
  /** What is wrong with the directory itself: no release starts on it then. */
  readonly problems: readonly Problem[];
  /**
   * This release first, then older ones of etcd down to 3.5. (etcd 3.7 itself stops at what a log of 3.5
   * may hold, requests of the v2 API; this one reads them.)
   */
  readonly releases: readonly ReleaseVerdict[];
}

/** Changes nothing. Rejects as {@link checkDirectory} does. */
export async function preflight(env: OfflineEnv, options: DirectoryOptions): Promise<Preflight> {
  const found = await checkDirectory(env, options);
  const { problems, log } = found;
  const oldest = await minimalVersionOf(log?.entries ?? [], new Slices(env));
  const releases: ReleaseVerdict[] = [];
  for (let { major, minor } = SERVER_VERSION; minor >= OLDEST.minor; minor--) {
    releases.push(verdictOf({ major, minor }, found, oldest));
  }
  return { problems, releases };
}

function verdictOf(
  release: ClusterVersion,
  { problems, database }: DirectoryCheck,
  oldest: ClusterVersion | undefined,
): ReleaseVerdict {
  const reasons = problems.map(({ text }) => text);
  if (database === undefined) return { release, kind: 'refuses', reasons };
  const stored = database.storageVersion ?? OLDEST;
  const cluster = database.clusterVersion;
  const isOlder = compareVersions(release, stored) < 0;
  if (cluster !== undefined && compareVersions(release, cluster) < 0) {
    reasons.push(
      `the cluster's version is ${formatVersion(cluster)}: enable the downgrade while it runs`,
    );
  }
  if (isOlder && oldest !== undefined && compareVersions(release, oldest) < 0) {
    reasons.push(
      `the log has entries after the newest snapshot that only ${formatVersion(oldest)} can read`,
    );
  }
  if (reasons.length > 0) return { release, kind: 'refuses', reasons };
  if (!isOlder) return { release, kind: 'starts', reasons };
  const steps = planMigration(stored, release).map(({ target }) => formatStoredVersion(target));
  return { release, kind: steps.length === 0 ? 'starts' : 'afterMigration', reasons };
}
