// The bytes of the response, with nothing between or after them.

import {
  type AuthStatusResult,
  type DowngradeAction,
  etcdserverpb,
  type KeepAliveResponse,
  mvccpb,
  type RoleGetResult,
  type RoleListResult,
  type UserGetResult,
  type UserListResult,
} from '../../../client/index.ts';
import type { Io } from '../../shell/io.ts';
import type { Word } from '../../shell/words.ts';
import { PartialPrinter, type WatchOutput } from './printer.ts';

type Header = etcdserverpb.ResponseHeader | undefined;

export class ProtobufPrinter extends PartialPrinter {
  readonly #io: Io;

  constructor(io: Io) {
    super('protobuf');
    this.#io = io;
  }

  /** Of responses about leases etcdctl prints the header only. */
  #header(header: Header): void {
    if (header !== undefined) this.#io.out(etcdserverpb.ResponseHeaderCodec.encode(header));
  }

  override get(response: etcdserverpb.RangeResponse): void {
    this.#io.out(etcdserverpb.RangeResponseCodec.encode(response));
  }
  override put(response: etcdserverpb.PutResponse): void {
    this.#io.out(etcdserverpb.PutResponseCodec.encode(response));
  }
  override del(response: etcdserverpb.DeleteRangeResponse): void {
    this.#io.out(etcdserverpb.DeleteRangeResponseCodec.encode(response));
  }
  override txn(response: etcdserverpb.TxnResponse): void {
    this.#io.out(etcdserverpb.TxnResponseCodec.encode(response));
  }
  override watch({ response, cancellation }: WatchOutput): void {
    const events = (response?.events ?? []).map((event) => ({
      type: event.type === 'delete' ? mvccpb.EventType.DELETE : mvccpb.EventType.PUT,
      kv: event.kv,
      prevKv: event.prevKv,
    }));
    const message = etcdserverpb.WatchResponseCodec.create({
      header: cancellation?.header ?? response?.header,
      events,
      compactRevision: cancellation?.compactRevision ?? 0,
      canceled: cancellation !== undefined,
    });
    this.#io.out(etcdserverpb.WatchResponseCodec.encode(message));
  }
  override leaseGrant({ header }: etcdserverpb.LeaseGrantResponse): void {
    this.#header(header);
  }
  override leaseRevoke(_id: bigint, response: etcdserverpb.LeaseRevokeResponse): void {
    this.#io.out(etcdserverpb.LeaseRevokeResponseCodec.encode(response));
  }
  override leaseKeepAlive({ header }: KeepAliveResponse): void {
    this.#header(header);
  }
  override leaseTimeToLive({ header }: etcdserverpb.LeaseTimeToLiveResponse): void {
    this.#header(header);
  }
  override leaseList({ header }: etcdserverpb.LeaseLeasesResponse): void {
    this.#header(header);
  }
  override alarm(response: etcdserverpb.AlarmResponse): void {
    this.#io.out(etcdserverpb.AlarmResponseCodec.encode(response));
  }
  override memberAdd(response: etcdserverpb.MemberAddResponse): void {
    this.#io.out(etcdserverpb.MemberAddResponseCodec.encode(response));
  }
  override memberRemove(_id: bigint, response: etcdserverpb.MemberRemoveResponse): void {
    this.#io.out(etcdserverpb.MemberRemoveResponseCodec.encode(response));
  }
  override memberUpdate(_id: bigint, response: etcdserverpb.MemberUpdateResponse): void {
    this.#io.out(etcdserverpb.MemberUpdateResponseCodec.encode(response));
  }
  override memberPromote(_id: bigint, response: etcdserverpb.MemberPromoteResponse): void {
    this.#io.out(etcdserverpb.MemberPromoteResponseCodec.encode(response));
  }
  override moveLeader(
    _leader: bigint,
    _target: bigint,
    response: etcdserverpb.MoveLeaderResponse,
  ): void {
    this.#io.out(etcdserverpb.MoveLeaderResponseCodec.encode(response));
  }
  override downgrade(_action: DowngradeAction, response: etcdserverpb.DowngradeResponse): void {
    this.#io.out(etcdserverpb.DowngradeResponseCodec.encode(response));
  }
  override memberList(response: etcdserverpb.MemberListResponse): void {
    this.#io.out(etcdserverpb.MemberListResponseCodec.encode(response));
  }
  override authStatus(result: AuthStatusResult): void {
    this.#io.out(etcdserverpb.AuthStatusResponseCodec.encode(result));
  }
  override authChange(_text: Word, header: etcdserverpb.ResponseHeader): void {
    // All of these answers are alike.
    this.#io.out(etcdserverpb.AuthUserAddResponseCodec.encode({ header }));
  }
  override userGet(_name: Word, { header, roles }: UserGetResult): void {
    this.#io.out(etcdserverpb.AuthUserGetResponseCodec.encode({ header, roles: [...roles] }));
  }
  override userList({ header, users }: UserListResult): void {
    this.#io.out(etcdserverpb.AuthUserListResponseCodec.encode({ header, users: [...users] }));
  }
  override roleGet(_name: Word, { header, permissions }: RoleGetResult): void {
    const message = { header, perm: [...permissions] };
    this.#io.out(etcdserverpb.AuthRoleGetResponseCodec.encode(message));
  }
  override roleList({ header, roles }: RoleListResult): void {
    this.#io.out(etcdserverpb.AuthRoleListResponseCodec.encode({ header, roles: [...roles] }));
  }
}
