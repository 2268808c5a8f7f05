// The storage version: which keys of the database a release knows, and the way from one release's to
// another's. Since 3.6 it is kept in the bucket `meta`; a database without it has the keys of 3.5, or
// will have them with the next batch.
//
// Facts: etcd v3.7.1 `server/storage/schema`. A release reads databases of its own storage version and of
// older ones, never of newer ones: that is what a downgrade prepares.

import { bytesFromUtf8, ERROR_CODES, TetcdError, utf8FromBytes } from '../../base/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  formatStoredVersion,
  parseStoredVersion,
  SERVER_VERSION,
} from '../../membership/index.ts';
import type { Backend } from '../backend/backend.ts';
import { BUCKET, META_KEY } from './schema.ts';

/** The storage version of a database that does not name one. */
const UNNAMED: ClusterVersion = { major: 3, minor: 5 };

/** Keys of the bucket `meta` that a release added, by its storage version. */
const ADDED_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['3.6.0', [META_KEY.STORAGE_VERSION]],
  ['3.7.0', []],
]);

/** The storage version that the database names; undefined up to 3.5. CORRUPT if it cannot be read. */
export function readStorageVersion(backend: Pick<Backend, 'get'>): ClusterVersion | undefined {
  const stored = backend.get(BUCKET.META, META_KEY.STORAGE_VERSION);
  if (stored === undefined) return undefined;
  const text = utf8FromBytes(stored);
  const version = parseStoredVersion(text);
  if (version !== undefined) return version;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `meta/storageVersion of the database is ${JSON.stringify(text)}, which is no version`,
  );
}

/** Refuses (UNSUPPORTED, in etcd's words) a database of a release that this one does not know. */
export function checkStorageVersion(backend: Pick<Backend, 'get'>): void {
  const present = readStorageVersion(backend);
  if (present === undefined) return;
  try {
    planMigration(present, SERVER_VERSION);
  } catch (error) {
    if (!(error instanceof TetcdError)) throw error;
    throw new TetcdError(
      error.code,
      `failed to validate schema: the database has storage version ` +
        `${formatStoredVersion(present)}: ${error.message}`,
      { cause: error },
    );
  }
}

/** One minor version up or down. */
interface MigrationStep {
  readonly target: ClusterVersion;
  readonly removedKeys: readonly string[];
}

/** The steps from `current` to `target`. UNSUPPORTED if one crosses a release that is not known. */
export function planMigration(current: ClusterVersion, target: ClusterVersion): MigrationStep[] {
  if (current.major !== target.major) {
    throw new TetcdError(
      ERROR_CODES.UNSUPPORTED,
      'changing major storage version is not supported',
    );
  }
  const { major } = current;
  const up = current.minor < target.minor;
  const steps: MigrationStep[] = [];
  for (let minor = current.minor; minor !== target.minor; minor += up ? 1 : -1) {
    // The changes of a step are those of the higher one of its two versions.
    const higher = formatStoredVersion({ major, minor: up ? minor + 1 : minor });
    const added = ADDED_KEYS.get(higher);
    if (added === undefined) {
      throw new TetcdError(ERROR_CODES.UNSUPPORTED, `version "${higher}" is not supported`);
    }
    const next = { major, minor: up ? minor + 1 : minor - 1 };
    steps.push({ target: next, removedKeys: up ? [] : added });
  }
  return steps;
}

/** What a migration needs besides the database. */
interface MigrationHost {
  /** A step is done. */
  onStep(target: ClusterVersion): void;
}

/**
 * Brings the database to `target`, in this turn: all steps become durable together. UNSUPPORTED, with
 * nothing changed, if it leads across an unknown release.
 */
export function migrateStorage(
  backend: Pick<Backend, 'get' | 'set'>,
  target: ClusterVersion,
  { onStep }: MigrationHost,
): void {
  for (const step of planMigration(readStorageVersion(backend) ?? UNNAMED, target)) {
    for (const key of step.removedKeys) backend.set(BUCKET.META, key, undefined);
    if (namesItsVersion(step.target)) {
      const text = bytesFromUtf8(formatStoredVersion(step.target));
      backend.set(BUCKET.META, META_KEY.STORAGE_VERSION, text);
    }
    onStep(step.target);
  }
}

/** Whether the database has the storage version of this cluster version. */
export function isMigrated(backend: Pick<Backend, 'get'>, version: ClusterVersion): boolean {
  const present = readStorageVersion(backend);
  if (present === undefined) return !namesItsVersion(version);
  return compareVersions(present, version) === 0;
}

function namesItsVersion(version: ClusterVersion): boolean {
  return compareVersions(version, UNNAMED) > 0;
}
