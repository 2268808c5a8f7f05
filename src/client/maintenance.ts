// Looking after a member. Which member answers is the channel's choice: use a client with one endpoint
// to ask a certain one.

import { etcdserverpb } from '../protocol/index.ts';
import type { Calls } from './calls.ts';
import type { CallOptions } from './options.ts';
import { serverStream } from './server-stream.ts';

const { methods } = etcdserverpb.MaintenanceService;

/** An alarm of a member; `memberId` 0n is every member. */
export interface AlarmSelection {
  readonly memberId?: bigint;
  /** One of `etcdserverpb.AlarmType`; NONE is every kind. */
  readonly alarm?: number;
}

export class MaintenanceClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  status(options: CallOptions = {}): Promise<etcdserverpb.StatusResponse> {
    const method = methods.status;
    return this.#calls.unary(method, method.request.create(), options, 'read');
  }

  /** Hash of all keys and their history up to `revision` (0: now), comparable between members. */
  hashKv(
    options: { readonly revision?: number } & CallOptions = {},
  ): Promise<etcdserverpb.HashKVResponse> {
    const request = methods.hashKV.request.create({ revision: options.revision ?? 0 });
    return this.#calls.unary(methods.hashKV, request, options, 'read');
  }

  /** Alarms that are raised. */
  alarms(options: CallOptions = {}): Promise<etcdserverpb.AlarmResponse> {
    const request = methods.alarm.request.create({ action: etcdserverpb.AlarmAction.GET });
    return this.#calls.unary(methods.alarm, request, options, 'read');
  }

  /** Ends the alarms selected: without a selection, all. */
  async disarm(
    selection: AlarmSelection = {},
    options: CallOptions = {},
  ): Promise<etcdserverpb.AlarmResponse> {
    const { memberId = 0n, alarm = etcdserverpb.AlarmType.NONE } = selection;
    if (memberId !== 0n || alarm !== etcdserverpb.AlarmType.NONE) {
      return this.#deactivate({ memberID: memberId, alarm }, options);
    }
    // The server takes one at a time.
    const raised = await this.alarms(options);
    const ended: etcdserverpb.AlarmMember[] = [];
    for (const each of raised.alarms) {
      ended.push(...(await this.#deactivate(each, options)).alarms);
    }
    // Several answers, or none: no header is that of all.
    return { header: undefined, alarms: ended };
  }

  #deactivate(
    member: etcdserverpb.AlarmMember,
    options: CallOptions,
  ): Promise<etcdserverpb.AlarmResponse> {
    const request = methods.alarm.request.create({
      action: etcdserverpb.AlarmAction.DEACTIVATE,
      memberID: member.memberID,
      alarm: member.alarm,
    });
    return this.#calls.unary(methods.alarm, request, options, 'write');
  }

  /** Rewrites the member's database without free pages. The member answers nothing else meanwhile. */
  defragment(options: CallOptions = {}): Promise<etcdserverpb.DefragmentResponse> {
    const method = methods.defragment;
    return this.#calls.unary(method, method.request.create(), options, 'write');
  }

  /** Hands leadership to another member; must be asked of the leader. */
  moveLeader(
    targetId: bigint,
    options: CallOptions = {},
  ): Promise<etcdserverpb.MoveLeaderResponse> {
    const request = methods.moveLeader.request.create({ targetID: targetId });
    return this.#calls.unary(methods.moveLeader, request, options, 'write');
  }

  /** The member's database file in pieces; its last 32 bytes are the SHA-256 of those before. */
  async *snapshot(options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const method = methods.snapshot;
    for await (const { blob } of serverStream(
      this.#calls,
      method,
      method.request.create(),
      options,
    )) {
      yield blob;
    }
  }
}
