// The services that a proxy offers: etcd's, method by method, in the table from which they are served.

import {
  etcdserverpb,
  health,
  type MethodDescriptor,
  v3electionpb,
  v3lockpb,
} from '../protocol/index.ts';
import type { ServiceTable } from '../rpc/index.ts';
import { passStream } from './calls/passed-stream.ts';
import { passUnary } from './calls/passed-unary.ts';
import type { Upstream } from './calls/upstream.ts';

export type AnyMethod = MethodDescriptor<unknown, unknown, unknown, unknown>;

const SERVICES = [
  etcdserverpb.KVService,
  etcdserverpb.WatchService,
  etcdserverpb.LeaseService,
  etcdserverpb.ClusterService,
  etcdserverpb.MaintenanceService,
  etcdserverpb.AuthService,
  v3lockpb.LockService,
  v3electionpb.ElectionService,
  health.HealthService,
];

/** By path. */
export function servedMethods(): ReadonlyMap<string, AnyMethod> {
  const all = SERVICES.flatMap(({ methods }) => Object.values<AnyMethod>(methods));
  return new Map(all.map((method) => [method.path, method]));
}

/** Methods that change nothing: after a lost connection they are tried elsewhere. */
const READS: ReadonlySet<AnyMethod['path']> = new Set([
  etcdserverpb.KVService.methods.range.path,
  etcdserverpb.LeaseService.methods.leaseTimeToLive.path,
  etcdserverpb.LeaseService.methods.leaseLeases.path,
  etcdserverpb.ClusterService.methods.memberList.path,
  etcdserverpb.MaintenanceService.methods.status.path,
  etcdserverpb.MaintenanceService.methods.hash.path,
  etcdserverpb.MaintenanceService.methods.hashKV.path,
  etcdserverpb.AuthService.methods.authStatus.path,
  etcdserverpb.AuthService.methods.userGet.path,
  etcdserverpb.AuthService.methods.userList.path,
  etcdserverpb.AuthService.methods.roleGet.path,
  etcdserverpb.AuthService.methods.roleList.path,
  v3electionpb.ElectionService.methods.leader.path,
]);

/** Every method that has no handler of its own yet is passed on as it is. */
export function passTheRest(table: ServiceTable, upstream: Upstream): void {
  for (const { methods } of SERVICES) {
    for (const method of Object.values<AnyMethod>(methods)) {
      if (table.get(method.path) !== undefined) continue;
      if (method.clientStreaming || method.serverStreaming) {
        table.stream(method, (call) => passStream(upstream, call));
      } else {
        const isRead = READS.has(method.path);
        table.unary(method, (call, _, bytes) =>
          passUnary(upstream, call, bytes, undefined, isRead),
        );
      }
    }
  }
}
