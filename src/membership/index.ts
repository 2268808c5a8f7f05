export type { Attributes, Member, MemberId, RaftAttributes } from './member.ts';
export { formatId, isStarted } from './member.ts';
export type { ClusterVersion } from './version.ts';
export {
  compareVersions,
  formatStoredVersion,
  formatVersion,
  parseStoredVersion,
  parseVersion,
  versionAtLeast,
} from './version.ts';
