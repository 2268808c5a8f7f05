// One `"Name" : value` per line: for shell scripts.

import { goQuote } from '../../../base/index.ts';
import type {
  etcdserverpb,
  KeepAliveResponse,
  mvccpb,
  RoleGetResult,
  RoleListResult,
} from '../../../client/index.ts';
import { goHex16 } from '../../shell/go-numbers.ts';
import type { Io } from '../../shell/io.ts';
import type { Word } from '../../shell/words.ts';
import {
  type EndpointHashKv,
  type EndpointHealth,
  type EndpointStatus,
  PartialPrinter,
  type WatchOutput,
} from './printer.ts';
import { alarmName } from './simple.ts';

type Header = etcdserverpb.ResponseHeader | undefined;

export class FieldsPrinter extends PartialPrinter {
  readonly #io: Io;
  readonly #hex: boolean;

  constructor(io: Io, hex: boolean) {
    super('fields');
    this.#io = io;
    this.#hex = hex;
  }

  #field(name: string, value: string | number | bigint | boolean): void {
    this.#io.out(`"${name}" : ${value}\n`);
  }

  #end(): void {
    this.#io.out('\n');
  }

  /** Ids of clusters and members: no leading zeros in hexadecimal. */
  #id(name: string, id: bigint): void {
    this.#field(name, this.#hex ? id.toString(16) : id);
  }

  #lease(name: string, id: bigint): void {
    this.#field(name, this.#hex ? goHex16(id) : id);
  }

  #header(header: Header): void {
    this.#id('ClusterID', header?.clusterId ?? 0n);
    this.#id('MemberID', header?.memberId ?? 0n);
    // Responses of the key-value service have a revision.
    if (header !== undefined && header.revision > 0) this.#field('Revision', header.revision);
    this.#field('RaftTerm', header?.raftTerm ?? 0);
  }

  #kv(prefix: string, kv: mvccpb.KeyValue): void {
    this.#field(`${prefix}Key`, goQuote(kv.key));
    this.#field(`${prefix}CreateRevision`, kv.createRevision);
    this.#field(`${prefix}ModRevision`, kv.modRevision);
    this.#field(`${prefix}Version`, kv.version);
    this.#field(`${prefix}Value`, goQuote(kv.value));
    this.#lease(`${prefix}Lease`, kv.lease);
  }

  override get(response: etcdserverpb.RangeResponse): void {
    this.#header(response.header);
    for (const kv of response.kvs) this.#kv('', kv);
    this.#field('More', response.more);
    this.#field('Count', response.count);
  }

  override put(response: etcdserverpb.PutResponse): void {
    this.#header(response.header);
    if (response.prevKv !== undefined) this.#kv('Prev', response.prevKv);
  }

  override del(response: etcdserverpb.DeleteRangeResponse): void {
    this.#header(response.header);
    this.#field('Deleted', response.deleted);
    for (const kv of response.prevKvs) this.#kv('Prev', kv);
  }

  override txn(response: etcdserverpb.TxnResponse): void {
    this.#header(response.header);
    this.#field('Succeeded', response.succeeded);
    for (const { response: each } of response.responses) {
      if (each?.case === 'responseRange') this.get(each.value);
      else if (each?.case === 'responsePut') this.put(each.value);
      else if (each?.case === 'responseDeleteRange') this.del(each.value);
      else if (each?.case === 'responseTxn') this.txn(each.value);
    }
  }

  override watch({ response, cancellation }: WatchOutput): void {
    this.#header(cancellation?.header ?? response?.header);
    for (const event of response?.events ?? []) {
      this.#field('Type', event.type.toUpperCase());
      if (event.prevKv !== undefined) this.#kv('Prev', event.prevKv);
      this.#kv('', event.kv);
    }
  }

  override leaseGrant(response: etcdserverpb.LeaseGrantResponse): void {
    this.#header(response.header);
    this.#lease('ID', response.id);
    this.#field('TTL', response.ttl);
  }

  override leaseRevoke(_id: bigint, response: etcdserverpb.LeaseRevokeResponse): void {
    this.#header(response.header);
  }

  override leaseKeepAlive(response: KeepAliveResponse): void {
    this.#header(response.header);
    this.#lease('ID', response.id);
    this.#field('TTL', response.ttl);
  }

  override leaseTimeToLive(response: etcdserverpb.LeaseTimeToLiveResponse): void {
    this.#header(response.header);
    this.#lease('ID', response.id);
    this.#field('TTL', response.ttl);
    this.#field('GrantedTTL', response.grantedTTL);
    for (const key of response.keys) this.#field('Key', goQuote(key));
  }

  override leaseList(response: etcdserverpb.LeaseLeasesResponse): void {
    this.#header(response.header);
    for (const { id } of response.leases) this.#lease('ID', id);
  }

  override alarm(response: etcdserverpb.AlarmResponse): void {
    this.#header(response.header);
    for (const { memberID, alarm } of response.alarms) {
      this.#id('MemberID', memberID);
      this.#field('AlarmType', alarmName(alarm));
      this.#end();
    }
  }

  override memberList(response: etcdserverpb.MemberListResponse): void {
    this.#header(response.header);
    for (const member of response.members) {
      this.#id('ID', member.id);
      this.#field('Name', goQuote(member.name));
      for (const url of member.peerURLs) this.#field('PeerURL', goQuote(url));
      for (const url of member.clientURLs) this.#field('ClientURL', goQuote(url));
      this.#field('IsLearner', member.isLearner);
      this.#end();
    }
  }

  override endpointHealth(list: readonly EndpointHealth[]): void {
    for (const each of list) {
      this.#field('Endpoint', goQuote(each.endpoint));
      this.#field('Health', each.health);
      this.#field('Took', each.took);
      this.#field('Error', each.error);
      this.#end();
    }
  }

  override endpointStatus(list: readonly EndpointStatus[]): void {
    for (const { endpoint, status } of list) {
      this.#header(status.header);
      this.#field('Version', goQuote(status.version));
      this.#field('StorageVersion', goQuote(status.storageVersion));
      this.#field('DBSize', status.dbSize);
      this.#field('DBSizeInUse', status.dbSizeInUse);
      this.#field('DBSizeQuota', status.dbSizeQuota);
      this.#field('Leader', status.leader);
      this.#field('IsLearner', status.isLearner);
      // The term is in the header: etcdctl up to 3.7.1 prints it here once more.
      this.#field('RaftIndex', status.raftIndex);
      this.#field('RaftAppliedIndex', status.raftAppliedIndex);
      this.#field('Errors', `[${status.errors.join(' ')}]`);
      this.#field('Endpoint', goQuote(endpoint));
      const { targetVersion = '', enabled = false } = status.downgradeInfo ?? {};
      this.#field('DowngradeTargetVersion', goQuote(targetVersion));
      this.#field('DowngradeEnabled', enabled);
      this.#end();
    }
  }

  override endpointHashKv(list: readonly EndpointHashKv[]): void {
    for (const { endpoint, hash } of list) {
      this.#header(hash.header);
      this.#field('Endpoint', goQuote(endpoint));
      this.#field('Hash', hash.hash);
      this.#field('HashRevision', hash.hashRevision);
      this.#end();
    }
  }

  override authChange(_text: Word, header: etcdserverpb.ResponseHeader): void {
    this.#header(header);
  }

  override roleGet(_name: Word, { header, permissions }: RoleGetResult): void {
    this.#header(header);
    for (const { type, key, rangeEnd } of permissions) {
      // Two spaces, as etcdctl has it.
      this.#io.out(`"PermType" :  ${type?.toUpperCase()}\n`);
      this.#field('Key', goQuote(key));
      this.#field('RangeEnd', goQuote(rangeEnd));
    }
  }

  override roleList({ header, roles }: RoleListResult): void {
    this.#header(header);
    this.#io.out(`"Roles" :${roles.map((role) => ` ${goQuote(role)}`).join('')}\n`);
  }
}
