// JSON, one line per response, in the form of etcdctl's Go structs: those of the protocol for most
// messages, its own for leases and watches.

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
import type { MessageInfo } from '../../../protocol/index.ts';
import { goJson, type Json, type JsonObject, jsonOfMessage } from '../../shell/go-json.ts';
import type { Io } from '../../shell/io.ts';
import type { Word } from '../../shell/words.ts';
import type {
  EndpointHashKv,
  EndpointHealth,
  EndpointStatus,
  Printer,
  WatchOutput,
} from './printer.ts';

type Header = etcdserverpb.ResponseHeader | undefined;

function jsonOfHeader(header: Header): JsonObject | undefined {
  if (header === undefined) return undefined;
  return jsonOfMessage(etcdserverpb.ResponseHeaderCodec.descriptor, header);
}

function jsonOfKeyValue(kv: mvccpb.KeyValue): JsonObject {
  return jsonOfMessage(mvccpb.KeyValueCodec.descriptor, kv);
}

export class JsonPrinter implements Printer {
  readonly #io: Io;
  readonly #hex: boolean;

  constructor(io: Io, hex: boolean) {
    this.#io = io;
    this.#hex = hex;
  }

  #print(value: Json): void {
    this.#io.out(`${goJson(value)}\n`);
  }

  get(response: etcdserverpb.RangeResponse): void {
    this.#print(jsonOfMessage(etcdserverpb.RangeResponseCodec.descriptor, response));
  }

  put(response: etcdserverpb.PutResponse): void {
    this.#print(jsonOfMessage(etcdserverpb.PutResponseCodec.descriptor, response));
  }

  del(response: etcdserverpb.DeleteRangeResponse): void {
    this.#print(jsonOfMessage(etcdserverpb.DeleteRangeResponseCodec.descriptor, response));
  }

  txn(response: etcdserverpb.TxnResponse): void {
    this.#print(jsonOfTxn(response));
  }

  watch({ response, cancellation }: WatchOutput): void {
    const events = (response?.events ?? []).map((event) => ({
      type: event.type === 'delete' ? mvccpb.EventType.DELETE : undefined,
      kv: jsonOfKeyValue(event.kv),
      prev_kv: event.prevKv === undefined ? undefined : jsonOfKeyValue(event.prevKv),
    }));
    this.#print({
      Header: jsonOfHeader(cancellation?.header ?? response?.header) ?? null,
      Events: events.length === 0 ? null : events,
      CompactRevision: cancellation?.compactRevision ?? 0,
      Canceled: cancellation !== undefined,
      Created: false,
      CancelReason: cancellation?.cancelReason ?? '',
    });
  }

  leaseGrant(response: etcdserverpb.LeaseGrantResponse): void {
    this.#print({
      ...jsonOfHeader(response.header),
      ID: response.id,
      TTL: response.ttl,
      Error: response.error,
    });
  }

  leaseRevoke(_id: bigint, response: etcdserverpb.LeaseRevokeResponse): void {
    this.#print({ header: jsonOfHeader(response.header) });
  }

  leaseKeepAlive(response: KeepAliveResponse): void {
    this.#print({ ...jsonOfHeader(response.header), ID: response.id, TTL: response.ttl });
  }

  leaseTimeToLive(response: etcdserverpb.LeaseTimeToLiveResponse): void {
    this.#print({
      ...jsonOfHeader(response.header),
      id: response.id,
      ttl: response.ttl,
      'granted-ttl': response.grantedTTL,
      keys: response.keys.length === 0 ? null : response.keys,
    });
  }

  leaseList(response: etcdserverpb.LeaseLeasesResponse): void {
    this.#print({
      ...jsonOfHeader(response.header),
      leases: response.leases.map(({ id }) => ({ id })),
    });
  }

  alarm(response: etcdserverpb.AlarmResponse): void {
    this.#print(jsonOfMessage(etcdserverpb.AlarmResponseCodec.descriptor, response));
  }

  memberAdd(response: etcdserverpb.MemberAddResponse): void {
    this.#members(etcdserverpb.MemberAddResponseCodec.descriptor, response);
  }

  memberRemove(_id: bigint, response: etcdserverpb.MemberRemoveResponse): void {
    this.#members(etcdserverpb.MemberRemoveResponseCodec.descriptor, response);
  }

  memberUpdate(_id: bigint, response: etcdserverpb.MemberUpdateResponse): void {
    this.#members(etcdserverpb.MemberUpdateResponseCodec.descriptor, response);
  }

  memberPromote(_id: bigint, response: etcdserverpb.MemberPromoteResponse): void {
    this.#members(etcdserverpb.MemberPromoteResponseCodec.descriptor, response);
  }

  memberList(response: etcdserverpb.MemberListResponse): void {
    this.#members(etcdserverpb.MemberListResponseCodec.descriptor, response);
  }

  #members(info: MessageInfo, response: MembersResponse): void {
    if (!this.#hex) {
      this.#print(jsonOfMessage(info, response));
      return;
    }
    const { header, member, members } = response;
    this.#print({
      header: header === undefined ? null : hexHeader(header),
      ...(member === undefined ? {} : { member: hexMember(member) }),
      members: members.map(hexMember),
    });
  }

  endpointHealth(list: readonly EndpointHealth[]): void {
    const entries = list.map((each) => ({
      endpoint: each.endpoint,
      health: each.health,
      took: each.took,
      error: each.error === '' ? undefined : each.error,
    }));
    this.#print(entries.length === 0 ? null : entries);
  }

  endpointStatus(list: readonly EndpointStatus[]): void {
    const entries = list.map(({ endpoint, status }) => ({
      Endpoint: endpoint,
      Status: jsonOfMessage(etcdserverpb.StatusResponseCodec.descriptor, status),
    }));
    this.#print(entries.length === 0 ? null : entries);
  }

  endpointHashKv(list: readonly EndpointHashKv[]): void {
    const entries = list.map(({ endpoint, hash }) => ({
      Endpoint: endpoint,
      HashKV: jsonOfMessage(etcdserverpb.HashKVResponseCodec.descriptor, hash),
    }));
    this.#print(entries.length === 0 ? null : entries);
  }

  moveLeader(_leader: bigint, _target: bigint, response: etcdserverpb.MoveLeaderResponse): void {
    this.#print(jsonOfMessage(etcdserverpb.MoveLeaderResponseCodec.descriptor, response));
  }

  downgrade(_action: DowngradeAction, response: etcdserverpb.DowngradeResponse): void {
    this.#print(jsonOfMessage(etcdserverpb.DowngradeResponseCodec.descriptor, response));
  }

  authStatus(result: AuthStatusResult): void {
    this.#print(jsonOfMessage(etcdserverpb.AuthStatusResponseCodec.descriptor, result));
  }

  authChange(_text: Word, header: etcdserverpb.ResponseHeader): void {
    this.#print({ header: jsonOfHeader(header) });
  }

  userGet(_name: Word, result: UserGetResult): void {
    this.#print(jsonOfMessage(etcdserverpb.AuthUserGetResponseCodec.descriptor, result));
  }

  userList(result: UserListResult): void {
    this.#print(jsonOfMessage(etcdserverpb.AuthUserListResponseCodec.descriptor, result));
  }

  roleGet(_name: Word, { header, permissions: perm }: RoleGetResult): void {
    const info = etcdserverpb.AuthRoleGetResponseCodec.descriptor;
    this.#print(jsonOfMessage(info, { header, perm }));
  }

  roleList(result: RoleListResult): void {
    this.#print(jsonOfMessage(etcdserverpb.AuthRoleListResponseCodec.descriptor, result));
  }
}

/** Common part of responses about members. */
interface MembersResponse {
  readonly header: Header;
  /** The one that was added. */
  readonly member?: etcdserverpb.Member | undefined;
  readonly members: readonly etcdserverpb.Member[];
}

function hexMember(member: etcdserverpb.Member): JsonObject {
  const fields = jsonOfMessage(etcdserverpb.MemberCodec.descriptor, member);
  return { ...fields, ID: member.id.toString(16) };
}

function hexHeader(header: etcdserverpb.ResponseHeader): JsonObject {
  return {
    ...jsonOfMessage(etcdserverpb.ResponseHeaderCodec.descriptor, header),
    cluster_id: header.clusterId.toString(16),
    member_id: header.memberId.toString(16),
  };
}

function jsonOfTxn(response: etcdserverpb.TxnResponse): JsonObject {
  return {
    header: jsonOfHeader(response.header),
    succeeded: response.succeeded ? true : undefined,
    responses:
      response.responses.length === 0
        ? undefined
        : response.responses.map((each) => ({ Response: jsonOfOp(each) })),
  };
}

function jsonOfOp({ response }: etcdserverpb.ResponseOp): JsonObject {
  switch (response?.case) {
    case 'responseRange':
      return {
        response_range: jsonOfMessage(etcdserverpb.RangeResponseCodec.descriptor, response.value),
      };
    case 'responsePut':
      return {
        response_put: jsonOfMessage(etcdserverpb.PutResponseCodec.descriptor, response.value),
      };
    case 'responseDeleteRange':
      return {
        response_delete_range: jsonOfMessage(
          etcdserverpb.DeleteRangeResponseCodec.descriptor,
          response.value,
        ),
      };
    case 'responseTxn':
      return { response_txn: jsonOfTxn(response.value) };
    case undefined:
      return {};
  }
}
