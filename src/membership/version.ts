// Cluster versions: MAJOR.MINOR decides, the patch is always written as 0.

/** The version that all members of a cluster have agreed to speak. */
export interface ClusterVersion {
  readonly major: number;
  readonly minor: number;
}

/** The release of etcd whose behaviour, protocol and files this package implements. */
export const SERVER_RELEASE = '3.7.1';
export const SERVER_VERSION: ClusterVersion = { major: 3, minor: 7 };

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`. */
export function compareVersions(a: ClusterVersion, b: ClusterVersion): number {
  return a.major - b.major || a.minor - b.minor;
}

export function versionAtLeast(version: ClusterVersion, major: number, minor: number): boolean {
  return compareVersions(version, { major, minor }) >= 0;
}

/** `3.7`, as etcd prints it in logs and metrics. */
export function formatVersion(version: ClusterVersion): string {
  return `${version.major}.${version.minor}`;
}

/** `3.7.0`, the stored form. */
export function formatStoredVersion(version: ClusterVersion): string {
  return `${formatVersion(version)}.0`;
}

/** The only version that a cluster of this version may be downgraded to: one minor version lower. */
export function downgradeTargetOf(version: ClusterVersion): ClusterVersion {
  return { major: version.major, minor: version.minor - 1 };
}

/** Whether a cluster may be downgraded between these two versions in one step. */
export function isDowngradeStep(from: ClusterVersion, to: ClusterVersion): boolean {
  return compareVersions(downgradeTargetOf(from), to) === 0;
}

const STORED = /^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$/;
const SHORT = /^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$/;

/**
 * Reads the stored form `MAJOR.MINOR.PATCH`; the patch is dropped. Undefined if the text has
 * another form.
 */
export function parseStoredVersion(text: string): ClusterVersion | undefined {
  return fromMatch(STORED.exec(text));
}

/** Reads `MAJOR.MINOR`, the form of flags. Undefined if the text has another form. */
export function parseVersion(text: string): ClusterVersion | undefined {
  return fromMatch(SHORT.exec(text));
}

function fromMatch(match: RegExpExecArray | null): ClusterVersion | undefined {
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

/** A semantic version: numbers with leading zeros and empty suffixes are taken too, as in etcd. */
const SEMANTIC = /^(\d+)\.(\d+)\.(\d+)(?:-[0-9A-Za-z.-]*)?(?:\+[0-9A-Za-z.-]*)?$/;
const INT64_MAX = 2n ** 63n - 1n;

/**
 * Reads what a client names as the target of a downgrade: a semantic version, or MAJOR.MINOR; only these
 * two numbers count. Undefined if etcd refuses the text as a version.
 */
export function parseTargetVersion(text: string): ClusterVersion | undefined {
  const match = SEMANTIC.exec(text) ?? SEMANTIC.exec(`${text}.0`);
  if (match === null) return undefined;
  const numbers = match.slice(1, 4);
  if (numbers.some((each) => BigInt(each) > INT64_MAX)) return undefined;
  return { major: Number(numbers[0]), minor: Number(numbers[1]) };
}
