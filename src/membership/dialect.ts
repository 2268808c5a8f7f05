// Which forms are written at which cluster version, in one place. Reading is not decided here:
// every form is read at every version. The table is in README.md.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { type Attributes, formatId, type MemberId } from './member.ts';
import { attributesPut, type V2Put, versionPut } from './v2-request.ts';
import {
  type ClusterVersion,
  compareVersions,
  formatStoredVersion,
  formatVersion,
  SERVER_VERSION,
  versionAtLeast,
} from './version.ts';

/** The oldest release that a directory can be kept open for. */
export const OLDEST_CLUSTER_VERSION: ClusterVersion = { major: 3, minor: 4 };

interface WrittenForms {
  /** Attributes and version are logged as request kinds 1300 and 1301, not as v2 PUTs. */
  readonly requestsFrom1300: boolean;
  /** `term` and `confState` are kept in the bucket `meta`. */
  readonly metaTermAndConfState: boolean;
  /** Passwords are logged as hashes, AuthStatus is logged, members check permissions' ranges. */
  readonly authRequestsFrom35: boolean;
}

/**
 * The forms for a cluster of this version. While the cluster has none yet, it is the version that
 * the cluster is going to have.
 */
export function writtenForms(version: ClusterVersion): WrittenForms {
  const from35 = versionAtLeast(version, 3, 5);
  return {
    requestsFrom1300: from35,
    metaTermAndConfState: from35,
    authRequestsFrom35: from35,
  };
}

/** The version of a cluster of this member alone: its own release, or the one held at. */
export function targetVersion(maxClusterVersion: ClusterVersion | undefined): ClusterVersion {
  return maxClusterVersion ?? SERVER_VERSION;
}

/** INVALID_ARGUMENT, naming both, if the cluster is already past the version to hold it at. */
export function checkMaxClusterVersion(
  present: ClusterVersion | undefined,
  max: ClusterVersion | undefined,
): void {
  if (present === undefined || max === undefined || compareVersions(present, max) <= 0) return;
  throw new TetcdError(
    ERROR_CODES.INVALID_ARGUMENT,
    `--max-cluster-version ${formatVersion(max)} cannot hold this data directory: ` +
      `its cluster version is already ${formatVersion(present)}`,
  );
}

/** What to log, in the form that the cluster's version asks for. */
export type MembershipProposal =
  | { readonly form: 'v2'; readonly request: V2Put }
  /** InternalRaftRequest.cluster_member_attr_set. */
  | {
      readonly form: 'clusterMemberAttrSet';
      readonly memberID: MemberId;
      readonly name: string;
      readonly clientURLs: readonly string[];
    }
  /** InternalRaftRequest.cluster_version_set. */
  | { readonly form: 'clusterVersionSet'; readonly ver: string };

/** `at` is the cluster's version, or the coming one while it has none. */
export function proposeAttributes(
  at: ClusterVersion,
  id: MemberId,
  attributes: Attributes,
): MembershipProposal {
  if (!writtenForms(at).requestsFrom1300)
    return { form: 'v2', request: attributesPut(id, attributes) };
  const { name, clientURLs } = attributes;
  return { form: 'clusterMemberAttrSet', memberID: id, name, clientURLs };
}

/**
 * `at` is the cluster's present version: the entry that raises it is still written in the old
 * form, because members that know only that may read it.
 */
export function proposeVersion(at: ClusterVersion, next: ClusterVersion): MembershipProposal {
  if (!writtenForms(at).requestsFrom1300) return { form: 'v2', request: versionPut(next) };
  return { form: 'clusterVersionSet', ver: formatStoredVersion(next) };
}

/** A line for logs: what a proposal is about. */
export function describeProposal(proposal: MembershipProposal): string {
  switch (proposal.form) {
    case 'v2':
      return `${proposal.request.method} ${proposal.request.path}`;
    case 'clusterMemberAttrSet':
      return `attributes of ${formatId(proposal.memberID)}`;
    case 'clusterVersionSet':
      return `cluster version ${proposal.ver}`;
  }
}
