export type { UrlComparison } from './bootstrap.ts';
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
  MembershipRefusal,
} from './cluster.ts';
export { Cluster, CONF_CHANGE, emptyState, MEMBERSHIP_REFUSALS, quorumOf } from './cluster.ts';
export type { MembershipProposal } from './dialect.ts';
export {
  checkMaxClusterVersion,
  describeProposal,
  OLDEST_CLUSTER_VERSION,
  proposeAttributes,
  proposeVersion,
  targetVersion,
  writtenForms,
} from './dialect.ts';
export { clusterIdFor, memberIdFor, parseId, sortedUrls } from './ids.ts';
export type { Member } from './member.ts';
export { formatId } from './member.ts';
export { parseMembers, writeMembers } from './member-json.ts';
export type { MembershipBucket, Row, RowChange } from './rows.ts';
export { readRows } from './rows.ts';
export { encodeV2Put, meaningOfV2Request, v2RequestIn } from './v2-request.ts';
export { readV2Store, writeV2Store } from './v2-store.ts';
export type { ClusterVersion } from './version.ts';
export {
  compareVersions,
  downgradeTargetOf,
  formatStoredVersion,
  formatVersion,
  isDowngradeStep,
  parseStoredVersion,
  parseTargetVersion,
  parseVersion,
  SERVER_RELEASE,
  SERVER_VERSION,
  versionAtLeast,
} from './version.ts';
