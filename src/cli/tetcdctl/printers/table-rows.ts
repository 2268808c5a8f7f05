// Rows for the simple and the table form.

import { humanBytes } from '../../../base/index.ts';
import type { etcdserverpb } from '../../../client/index.ts';
import type { Rows } from '../../shell/table-text.ts';
import type { EndpointHashKv, EndpointHealth, EndpointStatus } from './printer.ts';

export function memberRows({ members }: etcdserverpb.MemberListResponse): Rows {
  return {
    head: ['ID', 'Status', 'Name', 'Peer Addrs', 'Client Addrs', 'Is Learner'],
    rows: members.map((member) => [
      member.id.toString(16),
      member.name === '' ? 'unstarted' : 'started',
      member.name,
      member.peerURLs.join(','),
      member.clientURLs.join(','),
      String(member.isLearner),
    ]),
  };
}

export function healthRows(list: readonly EndpointHealth[]): Rows {
  return {
    head: ['endpoint', 'health', 'took', 'error'],
    rows: list.map((each) => [each.endpoint, String(each.health), each.took, each.error]),
  };
}

export function statusRows(list: readonly EndpointStatus[]): Rows {
  return {
    head: [
      'endpoint',
      'ID',
      'version',
      'storage version',
      'db size',
      'in use',
      'percentage not in use',
      'quota',
      'is leader',
      'is learner',
      'raft term',
      'raft index',
      'raft applied index',
      'errors',
      'downgrade target version',
      'downgrade enabled',
    ],
    rows: list.map(({ endpoint, status }) => statusRow(endpoint, status)),
  };
}

function statusRow(endpoint: string, status: etcdserverpb.StatusResponse): readonly string[] {
  const memberId = status.header?.memberId ?? 0n;
  return [
    endpoint,
    memberId.toString(16),
    status.version,
    status.storageVersion,
    humanBytes(status.dbSize),
    humanBytes(status.dbSizeInUse),
    `${percentageNotInUse(status)}%`,
    humanBytes(status.dbSizeQuota),
    String(status.leader === memberId),
    String(status.isLearner),
    String(status.raftTerm),
    String(status.raftIndex),
    String(status.raftAppliedIndex),
    status.errors.join(', '),
    status.downgradeInfo?.targetVersion ?? '',
    String(status.downgradeInfo?.enabled ?? false),
  ];
}

function percentageNotInUse({ dbSize, dbSizeInUse }: etcdserverpb.StatusResponse): number {
  // Servers before 3.4 do not report the size in use, and an empty response has no size at all.
  return dbSize === 0 ? 0 : 100 - Math.trunc((dbSizeInUse * 100) / dbSize);
}

export function hashKvRows(list: readonly EndpointHashKv[]): Rows {
  return {
    head: ['endpoint', 'hash', 'hash_revision'],
    rows: list.map(({ endpoint, hash }) => [
      endpoint,
      String(hash.hash),
      String(hash.hashRevision),
    ]),
  };
}
