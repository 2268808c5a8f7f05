// The TypeScript client: `tetcd/client`.

export { hasCode, TetcdError } from '../base/index.ts';
export { GrpcStatusError, STATUS, type StatusCode, statusName } from '../grpc/index.ts';
export type { ClientTlsSettings, Pem } from '../net/index.ts';
export {
  authpb,
  EtcdError,
  type EtcdErrorName,
  etcdserverpb,
  health,
  isEtcdError,
  mvccpb,
  v3electionpb,
  v3lockpb,
} from '../protocol/index.ts';
export {
  type AuthClient,
  type AuthStatusResult,
  Permission,
  type PermissionType,
  type RoleGetResult,
  type RoleListResult,
  type UserGetResult,
  type UserListResult,
} from './auth.ts';
export { Client, connect } from './client.ts';
export type { ClusterClient } from './cluster.ts';
export { statusOf, WatchCompactedError } from './errors.ts';
export { type Bytes, prefixEnd, type RangeOptions } from './key-range.ts';
export { KeyValue } from './key-value.ts';
export type { CompactOptions, KvClient, ScanOptions } from './kv.ts';
export type { KeepAliveOptions, KeepAliveResponse, LeaseKeeper } from './lease/keep-alive.ts';
export type {
  LeaseClient,
  LeaseGrantResult,
  LeaseListResult,
  LeaseTimeToLiveResult,
} from './lease/lease.ts';
export type {
  AlarmSelection,
  DowngradeAction,
  EndpointOptions,
  MaintenanceClient,
} from './maintenance.ts';
export type {
  AuthOptions,
  CallOptions,
  ClientOptions,
  KeepaliveOptions,
  Runtime,
  TlsOptions,
} from './options.ts';
export type {
  DeleteResult,
  GetResult,
  OpResult,
  PutResult,
  ResponseHeader,
  TxnResult,
} from './results.ts';
export type { Scan } from './scan.ts';
export { parseEndpoint } from './transport/endpoint.ts';
export {
  type CompareOperator,
  type CompareValues,
  type Comparison,
  compare,
  type DeleteOptions,
  type GetOptions,
  type Op,
  op,
  type PutOptions,
  type SortTarget,
  type TxnParts,
} from './transport/requests.ts';
export type { Txn } from './txn.ts';
export type { WatchEvent, Watcher, WatchOptions, WatchResponse } from './watch/watcher.ts';
