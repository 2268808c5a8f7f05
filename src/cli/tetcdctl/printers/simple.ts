// The default form: short lines for people.

import type {
  AuthStatusResult,
  DowngradeAction,
  etcdserverpb,
  KeepAliveResponse,
  mvccpb,
  Permission,
  RoleGetResult,
  RoleListResult,
  UserGetResult,
  UserListResult,
} from '../../../client/index.ts';
import { goHex16 } from '../../shell/go-numbers.ts';
import type { Io } from '../../shell/io.ts';
import type { Rows } from '../../shell/table-text.ts';
import { bytesOfWord, type Word, wordFromBytes } from '../../shell/words.ts';
import type {
  EndpointHashKv,
  EndpointHealth,
  EndpointStatus,
  Printer,
  WatchOutput,
} from './printer.ts';
import { hashKvRows, memberRows, statusRows } from './table-rows.ts';

type KeyAndValue = Pick<mvccpb.KeyValue, 'key' | 'value'>;

const LINE_FEED = '\n';

export class SimplePrinter implements Printer {
  readonly #io: Io;
  readonly #hex: boolean;

  constructor(io: Io, hex: boolean) {
    this.#io = io;
    this.#hex = hex;
  }

  #line(text: string): void {
    this.#io.out(`${text}\n`);
  }

  #bytes(bytes: Uint8Array): void {
    if (this.#hex) this.#io.out(hexEscapes(bytes));
    else this.#io.out(bytes);
    this.#io.out(LINE_FEED);
  }

  #kv(kv: KeyAndValue, valueOnly = false): void {
    if (!valueOnly) this.#bytes(kv.key);
    this.#bytes(kv.value);
  }

  #rows({ rows }: Rows): void {
    for (const row of rows) this.#line(row.join(', '));
  }

  get(response: etcdserverpb.RangeResponse, valueOnly = false): void {
    for (const kv of response.kvs) this.#kv(kv, valueOnly);
  }

  put(response: etcdserverpb.PutResponse): void {
    this.#line('OK');
    if (response.prevKv !== undefined) this.#kv(response.prevKv);
  }

  del(response: etcdserverpb.DeleteRangeResponse): void {
    this.#line(String(response.deleted));
    for (const kv of response.prevKvs) this.#kv(kv);
  }

  txn(response: etcdserverpb.TxnResponse): void {
    this.#line(response.succeeded ? 'SUCCESS' : 'FAILURE');
    for (const { response: each } of response.responses) {
      this.#line('');
      if (each?.case === 'responseRange') this.get(each.value);
      else if (each?.case === 'responsePut') this.put(each.value);
      else if (each?.case === 'responseDeleteRange') this.del(each.value);
      else if (each?.case === 'responseTxn') this.txn(each.value);
    }
  }

  watch({ response }: WatchOutput): void {
    for (const event of response?.events ?? []) {
      this.#line(event.type.toUpperCase());
      if (event.prevKv !== undefined) this.#kv(event.prevKv);
      this.#kv(event.kv);
    }
  }

  leaseGrant({ id, ttl }: etcdserverpb.LeaseGrantResponse): void {
    this.#line(`lease ${goHex16(id)} granted with TTL(${ttl}s)`);
  }

  leaseRevoke(id: bigint): void {
    this.#line(`lease ${goHex16(id)} revoked`);
  }

  leaseKeepAlive({ id, ttl }: KeepAliveResponse): void {
    this.#line(`lease ${goHex16(id)} keepalived with TTL(${ttl})`);
  }

  leaseTimeToLive(response: etcdserverpb.LeaseTimeToLiveResponse, withKeys: boolean): void {
    const { id, ttl, grantedTTL } = response;
    if (grantedTTL === 0 && ttl === -1) {
      this.#line(`lease ${goHex16(id)} already expired`);
      return;
    }
    this.#io.out(`lease ${goHex16(id)} granted with TTL(${grantedTTL}s), remaining(${ttl}s)`);
    if (withKeys) {
      this.#io.out(', attached keys([');
      for (const [i, key] of response.keys.entries()) {
        if (i > 0) this.#io.out(' ');
        this.#io.out(key);
      }
      this.#io.out('])');
    }
    this.#line('');
  }

  leaseList({ leases }: etcdserverpb.LeaseLeasesResponse): void {
    this.#line(`found ${leases.length} leases`);
    for (const { id } of leases) this.#line(goHex16(id));
  }

  alarm(response: etcdserverpb.AlarmResponse): void {
    for (const { memberID, alarm } of response.alarms) {
      const member = memberID === 0n ? '' : `memberID:${memberID} `;
      this.#line(`${member}alarm:${alarmName(alarm)}`);
    }
  }

  memberAdd({ header, member }: etcdserverpb.MemberAddResponse): void {
    const how = member?.isLearner === true ? 'added as learner to' : 'added to';
    this.#member(member?.id ?? 0n, how, header);
  }

  memberRemove(id: bigint, { header }: etcdserverpb.MemberRemoveResponse): void {
    this.#member(id, 'removed from', header);
  }

  memberUpdate(id: bigint, { header }: etcdserverpb.MemberUpdateResponse): void {
    this.#member(id, 'updated in', header);
  }

  memberPromote(id: bigint, { header }: etcdserverpb.MemberPromoteResponse): void {
    this.#member(id, 'promoted in', header);
  }

  #member(id: bigint, what: string, header: etcdserverpb.ResponseHeader | undefined): void {
    const clusterId = header?.clusterId ?? 0n;
    this.#line(`Member ${hexIn16(id)} ${what} cluster ${hexIn16(clusterId)}`);
  }

  memberList(response: etcdserverpb.MemberListResponse): void {
    this.#rows(memberRows(response));
  }

  endpointHealth(list: readonly EndpointHealth[]): void {
    for (const { endpoint, took, error } of list) {
      if (error === '') {
        this.#line(`${endpoint} is healthy: successfully committed proposal: took = ${took}`);
      } else {
        this.#io.err(`${endpoint} is unhealthy: failed to commit proposal: ${error}\n`);
      }
    }
  }

  endpointStatus(list: readonly EndpointStatus[]): void {
    this.#rows(statusRows(list));
  }

  endpointHashKv(list: readonly EndpointHashKv[]): void {
    this.#rows(hashKvRows(list));
  }

  moveLeader(leader: bigint, target: bigint): void {
    this.#line(`Leadership transferred from ${leader.toString(16)} to ${target.toString(16)}`);
  }

  downgrade(action: DowngradeAction, { version }: etcdserverpb.DowngradeResponse): void {
    this.#line(`Downgrade ${action} success, cluster version ${version}`);
  }

  authStatus({ enabled, authRevision }: AuthStatusResult): void {
    this.#line(`Authentication Status: ${enabled}`);
    this.#line(`AuthRevision: ${authRevision}`);
  }

  authChange(text: Word): void {
    this.#wordLine(text);
  }

  userGet(name: Word, { roles }: UserGetResult): void {
    this.#wordLine(`User: ${name}`);
    this.#line(`Roles:${roles.map((role) => ` ${role}`).join('')}`);
  }

  userList({ users }: UserListResult): void {
    for (const user of users) this.#line(user);
  }

  roleGet(name: Word, { permissions }: RoleGetResult): void {
    this.#wordLine(`Role ${name}`);
    const mayDoAll = name === 'root' && permissions.length === 0;
    for (const [title, type] of [
      ['KV Read:', 'read'],
      ['KV Write:', 'write'],
    ] as const) {
      this.#line(title);
      if (mayDoAll) this.#line('\t[, <open ended>');
      const allowed = permissions.filter((each) => each.type === type || each.type === 'readwrite');
      for (const permission of allowed) this.#wordLine(`\t${rangeText(permission)}`);
    }
  }

  roleList({ roles }: RoleListResult): void {
    for (const role of roles) this.#line(role);
  }

  #wordLine(text: Word): void {
    this.#io.out(bytesOfWord(text));
    this.#io.out(LINE_FEED);
  }
}

/** As a half-open interval; `(prefix …)` says what it was made of. */
function rangeText(permission: Permission): Word {
  const key = wordFromBytes(permission.key);
  const end = wordFromBytes(permission.rangeEnd);
  if (end === '') return key;
  const range = end === '\0' ? `[${key}, <open ended>` : `[${key}, ${end})`;
  return permission.isPrefix ? `${range} (prefix ${key})` : range;
}

/** Hexadecimal in sixteen columns, to the right. */
function hexIn16(id: bigint): string {
  return id.toString(16).padStart(16);
}

/** `\x66\x6f\x6f`. */
function hexEscapes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += `\\x${byte.toString(16).padStart(2, '0')}`;
  return text;
}

const ALARM_NAMES: readonly string[] = ['NONE', 'NOSPACE', 'CORRUPT'];

export function alarmName(alarm: number): string {
  return ALARM_NAMES[alarm] ?? String(alarm);
}
