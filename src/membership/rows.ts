// The rows of the backend that hold the membership. Keys are ASCII.

import { bytesFromUtf8, ERROR_CODES, TetcdError, utf8FromBytes } from '../base/index.ts';
import { parseId } from './ids.ts';
import { formatId, type Member, type MemberId } from './member.ts';
import { parseMember, writeMember } from './member-json.ts';
import { Fields, parseStoredJson, writeString } from './stored-json.ts';
import { type ClusterVersion, formatStoredVersion, parseStoredVersion } from './version.ts';

export type MembershipBucket = 'members' | 'members_removed' | 'cluster';

/** A row to write, or (`value` undefined) to delete if it is there. */
export interface RowChange {
  readonly bucket: MembershipBucket;
  readonly key: string;
  /** The bytes never change afterwards. */
  readonly value: Uint8Array | undefined;
}

/** A row read back. */
export interface Row {
  /** Where it stands, for messages: file, page, bucket and key. */
  readonly place: string;
  readonly bucket: MembershipBucket;
  readonly key: string;
  readonly value: Uint8Array;
}

/** Whether the members are about to take up an older release, and which. */
export interface DowngradeInfo {
  readonly enabled: boolean;
  /** The stored form (`3.6.0`), or empty when not enabled. */
  readonly targetVersion: string;
}

export const NO_DOWNGRADE: DowngradeInfo = { enabled: false, targetVersion: '' };

const CLUSTER_VERSION_KEY = 'clusterVersion';
const DOWNGRADE_KEY = 'downgrade';
const REMOVED_VALUE = 'removed';

export function memberRow(member: Member): RowChange {
  return textRow('members', formatId(member.id), writeMember(member));
}

export function memberDeletion(id: MemberId): RowChange {
  return { bucket: 'members', key: formatId(id), value: undefined };
}

export function removedRow(id: MemberId): RowChange {
  return textRow('members_removed', formatId(id), REMOVED_VALUE);
}

export function versionRow(version: ClusterVersion): RowChange {
  return textRow('cluster', CLUSTER_VERSION_KEY, formatStoredVersion(version));
}

export function downgradeRow(info: DowngradeInfo): RowChange {
  const target = writeString(info.targetVersion);
  return textRow(
    'cluster',
    DOWNGRADE_KEY,
    `{"target-version":${target},"enabled":${info.enabled}}`,
  );
}

function textRow(bucket: MembershipBucket, key: string, text: string): RowChange {
  return { bucket, key, value: bytesFromUtf8(text) };
}

/** What a set of rows says. */
export interface RowContents {
  readonly members: readonly Member[];
  readonly removed: readonly MemberId[];
  readonly version: ClusterVersion | undefined;
  readonly downgrade: DowngradeInfo;
}

/** Reads all rows of the three buckets. MALFORMED, CORRUPT or UNSUPPORTED names the row's place. */
export function readRows(rows: Iterable<Row>): RowContents {
  const members: Member[] = [];
  const removed: MemberId[] = [];
  let version: ClusterVersion | undefined;
  let downgrade = NO_DOWNGRADE;
  for (const { bucket, key, value, place: what } of rows) {
    const text = utf8FromBytes(value);
    if (bucket === 'members') {
      const member = parseMember(text, what);
      if (member.id !== parseId(key, what)) {
        throw new TetcdError(
          ERROR_CODES.CORRUPT,
          `${what}: holds the member ${formatId(member.id)}`,
        );
      }
      members.push(member);
    } else if (bucket === 'members_removed') {
      removed.push(parseId(key, what));
    } else if (key === CLUSTER_VERSION_KEY) {
      version = mustParseVersion(text, what);
    } else if (key === DOWNGRADE_KEY) {
      downgrade = parseDowngrade(text, what);
    } else {
      throw new TetcdError(ERROR_CODES.UNSUPPORTED, `${what}: not known to this release`);
    }
  }
  return { members, removed, version, downgrade };
}

/** MALFORMED, naming `what`, if the text is no stored version. */
export function mustParseVersion(text: string, what: string): ClusterVersion {
  const version = parseStoredVersion(text);
  if (version !== undefined) return version;
  throw new TetcdError(
    ERROR_CODES.MALFORMED,
    `${what}: ${JSON.stringify(text)} is no MAJOR.MINOR.PATCH`,
  );
}

function parseDowngrade(text: string, what: string): DowngradeInfo {
  const fields = new Fields(parseStoredJson(text, what), what);
  const info = {
    targetVersion: fields.string('target-version'),
    enabled: fields.boolean('enabled'),
  };
  fields.onlyThese();
  return info;
}
