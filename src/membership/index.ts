export type { BootstrapMember, UrlComparison } from './bootstrap.ts';
export {
  bootstrapClusterId,
  bootstrapMembers,
  confChangeContext,
  joinMembers,
  promotionContext,
} from './bootstrap.ts';
export type {
  ClusterOptions,
  ClusterState,
  ConfChangeInput,
  ConfChangeOutcome,
  MembershipRefusal,
} from './cluster.ts';
export { Cluster, CONF_CHANGE, emptyState, MEMBERSHIP_REFUSALS, quorumOf } from './cluster.ts';
export type { MembershipProposal, WrittenForms } from './dialect.ts';
export {
  checkMaxClusterVersion,
  describeProposal,
  OLDEST_CLUSTER_VERSION,
  proposeAttributes,
  proposeVersion,
  targetVersion,
  writtenForms,
} from './dialect.ts';
export { clusterIdFor, compareIds, memberIdFor, parseId, sortedUrls } from './ids.ts';
export type { Attributes, Member, MemberId, RaftAttributes } from './member.ts';
export { formatId, isStarted } from './member.ts';
export { parseMembers, writeMembers } from './member-json.ts';
export type { DowngradeInfo, MembershipBucket, Row, RowChange, RowContents } from './rows.ts';
export { NO_DOWNGRADE, readRows } from './rows.ts';
export type { V2Meaning, V2Put, V2RequestInput } from './v2-request.ts';
export { encodeV2Put, meaningOfV2Request, v2RequestIn } from './v2-request.ts';
export type { V2Contents } from './v2-store.ts';
export { readV2Store, writeV2Store } from './v2-store.ts';
export type { ClusterVersion } from './version.ts';
export {
  compareVersions,
  formatStoredVersion,
  formatVersion,
  parseStoredVersion,
  parseVersion,
  SERVER_RELEASE,
  SERVER_VERSION,
  versionAtLeast,
} from './version.ts';
