// The interface of output forms. Each implements some methods and refuses the others.

import type {
  AuthStatusResult,
  DowngradeAction,
  etcdserverpb,
  KeepAliveResponse,
  RoleGetResult,
  RoleListResult,
  UserGetResult,
  UserListResult,
  WatchResponse,
} from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import type { Word } from '../../shell/words.ts';

export interface EndpointHealth {
  readonly endpoint: string;
  readonly health: boolean;
  /** As Go prints a duration. */
  readonly took: string;
  /** Empty if there is none. */
  readonly error: string;
}

export interface EndpointStatus {
  readonly endpoint: string;
  readonly status: etcdserverpb.StatusResponse;
}

export interface EndpointHashKv {
  readonly endpoint: string;
  readonly hash: etcdserverpb.HashKVResponse;
}

/** What a watch prints: a response, or the server's cancellation. */
export interface WatchOutput {
  readonly response?: WatchResponse;
  readonly cancellation?: etcdserverpb.WatchResponse;
}

export interface Printer {
  get(response: etcdserverpb.RangeResponse, valueOnly: boolean): void;
  put(response: etcdserverpb.PutResponse): void;
  del(response: etcdserverpb.DeleteRangeResponse): void;
  txn(response: etcdserverpb.TxnResponse): void;
  watch(output: WatchOutput): void;
  leaseGrant(response: etcdserverpb.LeaseGrantResponse): void;
  leaseRevoke(id: bigint, response: etcdserverpb.LeaseRevokeResponse): void;
  leaseKeepAlive(response: KeepAliveResponse): void;
  leaseTimeToLive(response: etcdserverpb.LeaseTimeToLiveResponse, withKeys: boolean): void;
  leaseList(response: etcdserverpb.LeaseLeasesResponse): void;
  alarm(response: etcdserverpb.AlarmResponse): void;
  memberAdd(response: etcdserverpb.MemberAddResponse): void;
  memberRemove(id: bigint, response: etcdserverpb.MemberRemoveResponse): void;
  memberUpdate(id: bigint, response: etcdserverpb.MemberUpdateResponse): void;
  memberPromote(id: bigint, response: etcdserverpb.MemberPromoteResponse): void;
  memberList(response: etcdserverpb.MemberListResponse): void;
  endpointHealth(list: readonly EndpointHealth[]): void;
  endpointStatus(list: readonly EndpointStatus[]): void;
  endpointHashKv(list: readonly EndpointHashKv[]): void;
  moveLeader(leader: bigint, target: bigint, response: etcdserverpb.MoveLeaderResponse): void;
  downgrade(action: DowngradeAction, response: etcdserverpb.DowngradeResponse): void;
  authStatus(result: AuthStatusResult): void;
  /** A change of users or roles, whose answer is a header alone; `text` tells people of it. */
  authChange(text: Word, header: etcdserverpb.ResponseHeader): void;
  userGet(name: Word, result: UserGetResult): void;
  userList(result: UserListResult): void;
  roleGet(name: Word, result: RoleGetResult): void;
  roleList(result: RoleListResult): void;
}

/** Base of forms that implement only some methods. */
export class PartialPrinter implements Printer {
  readonly #form: string;

  constructor(form: string) {
    this.#form = form;
  }

  #refuse(): never {
    throw new ExitError(EXIT.BAD_FEATURE, `${this.#form} not supported as output format`);
  }

  get(_response: etcdserverpb.RangeResponse, _valueOnly: boolean): void {
    this.#refuse();
  }
  put(_response: etcdserverpb.PutResponse): void {
    this.#refuse();
  }
  del(_response: etcdserverpb.DeleteRangeResponse): void {
    this.#refuse();
  }
  txn(_response: etcdserverpb.TxnResponse): void {
    this.#refuse();
  }
  watch(_output: WatchOutput): void {
    this.#refuse();
  }
  leaseGrant(_response: etcdserverpb.LeaseGrantResponse): void {
    this.#refuse();
  }
  leaseRevoke(_id: bigint, _response: etcdserverpb.LeaseRevokeResponse): void {
    this.#refuse();
  }
  leaseKeepAlive(_response: KeepAliveResponse): void {
    this.#refuse();
  }
  leaseTimeToLive(_response: etcdserverpb.LeaseTimeToLiveResponse, _withKeys: boolean): void {
    this.#refuse();
  }
  leaseList(_response: etcdserverpb.LeaseLeasesResponse): void {
    this.#refuse();
  }
  alarm(_response: etcdserverpb.AlarmResponse): void {
    this.#refuse();
  }
  memberAdd(_response: etcdserverpb.MemberAddResponse): void {
    this.#refuse();
  }
  memberRemove(_id: bigint, _response: etcdserverpb.MemberRemoveResponse): void {
    this.#refuse();
  }
  memberUpdate(_id: bigint, _response: etcdserverpb.MemberUpdateResponse): void {
    this.#refuse();
  }
  memberPromote(_id: bigint, _response: etcdserverpb.MemberPromoteResponse): void {
    this.#refuse();
  }
  memberList(_response: etcdserverpb.MemberListResponse): void {
    this.#refuse();
  }
  endpointHealth(_list: readonly EndpointHealth[]): void {
    this.#refuse();
  }
  endpointStatus(_list: readonly EndpointStatus[]): void {
    this.#refuse();
  }
  endpointHashKv(_list: readonly EndpointHashKv[]): void {
    this.#refuse();
  }
  moveLeader(_leader: bigint, _target: bigint, _response: etcdserverpb.MoveLeaderResponse): void {
    this.#refuse();
  }
  downgrade(_action: DowngradeAction, _response: etcdserverpb.DowngradeResponse): void {
    this.#refuse();
  }
  authStatus(_result: AuthStatusResult): void {
    this.#refuse();
  }
  authChange(_text: Word, _header: etcdserverpb.ResponseHeader): void {
    this.#refuse();
  }
  userGet(_name: Word, _result: UserGetResult): void {
    this.#refuse();
  }
  userList(_result: UserListResult): void {
    this.#refuse();
  }
  roleGet(_name: Word, _result: RoleGetResult): void {
    this.#refuse();
  }
  roleList(_result: RoleListResult): void {
    this.#refuse();
  }
}
