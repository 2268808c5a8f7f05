// Maintenance of members. The channel chooses the member, unless the option `endpoint` names one.

import { etcdserverpb } from '../protocol/index.ts';
import { checkId, checkInteger, checkObject, checkText } from './arguments.ts';
import { invalidArgument } from './errors.ts';
import type { CallOptions } from './options.ts';
import { printed, printedDeep } from './printed.ts';
import type { Calls } from './transport/calls.ts';
import { serverStream } from './transport/server-stream.ts';

/** What a call about a downgrade asks for. */
export type DowngradeAction = 'validate' | 'enable' | 'cancel';

const DOWNGRADE_ACTIONS: Readonly<Record<DowngradeAction, etcdserverpb.DowngradeAction>> = {
  validate: etcdserverpb.DowngradeAction.VALIDATE,
  enable: etcdserverpb.DowngradeAction.ENABLE,
  cancel: etcdserverpb.DowngradeAction.CANCEL,
};

const { methods } = etcdserverpb.MaintenanceService;

/** Selects alarms by member and kind. */
export interface AlarmSelection {
  readonly memberId?: bigint | undefined;
  /** One of `etcdserverpb.AlarmType`; NONE is every kind. */
  readonly alarm?: number | undefined;
}

/** Options of a call to one member. */
export interface EndpointOptions extends CallOptions {
  /** Endpoint of the member to call, over a separate connection. Default: any endpoint of the client. */
  readonly endpoint?: string | undefined;
}

/** Maintenance of members: status, alarms, hashes, defragmentation, snapshots, leadership. */
export class MaintenanceClient {
  readonly #calls: Calls;
  readonly #callsAt: (endpoint: string) => Calls;

  /** `callsAt`: calls that reach one endpoint only, for the caller to close. */
  constructor(calls: Calls, callsAt: (endpoint: string) => Calls) {
    this.#calls = calls;
    this.#callsAt = callsAt;
  }

  /** INVALID_ARGUMENT for a malformed endpoint. */
  async #at<T extends object>(
    { endpoint }: EndpointOptions,
    ask: (calls: Calls) => Promise<T>,
  ): Promise<T> {
    if (endpoint === undefined) return printedDeep(await ask(this.#calls));
    checkText(endpoint, 'endpoint');
    const calls = this.#callsAt(endpoint);
    try {
      return printedDeep(await ask(calls));
    } finally {
      calls.close();
    }
  }

  status(options: EndpointOptions = {}): Promise<etcdserverpb.StatusResponse> {
    const method = methods.status;
    const request = method.request.create();
    return this.#at(options, (calls) => calls.unary(method, request, options, 'always'));
  }

  /** HashKV: hash of all keys and their history up to `revision` (0: current), equal on all members. */
  async hashKv(
    options: { readonly revision?: number | undefined } & EndpointOptions = {},
  ): Promise<etcdserverpb.HashKVResponse> {
    const method = methods.hashKV;
    const { revision = 0 } = options;
    checkInteger(revision, 'revision');
    const request = method.request.create({ revision });
    return this.#at(options, (calls) => calls.unary(method, request, options, 'always'));
  }

  /** The raised alarms of all members. */
  async alarms(options: CallOptions = {}): Promise<etcdserverpb.AlarmResponse> {
    const request = methods.alarm.request.create({ action: etcdserverpb.AlarmAction.GET });
    return printedDeep(await this.#calls.unary(methods.alarm, request, options, 'always'));
  }

  /** Deactivates the selected alarms; without a selection, all. */
  async disarm(
    selection: AlarmSelection = {},
    options: CallOptions = {},
  ): Promise<etcdserverpb.AlarmResponse> {
    checkObject(selection, 'selection');
    const { memberId = 0n, alarm = etcdserverpb.AlarmType.NONE } = selection;
    checkId(memberId, 'memberId');
    checkInteger(alarm, 'alarm');
    if (memberId !== 0n || alarm !== etcdserverpb.AlarmType.NONE) {
      return this.#deactivate({ memberID: memberId, alarm }, options);
    }
    // The server deactivates one at a time.
    const raised = await this.alarms(options);
    const ended: etcdserverpb.AlarmMember[] = [];
    for (const each of raised.alarms) {
      ended.push(...(await this.#deactivate(each, options)).alarms);
    }
    // Several answers, or none: no header is that of all.
    return printed({ header: undefined, alarms: ended });
  }

  async #deactivate(
    member: etcdserverpb.AlarmMember,
    options: CallOptions,
  ): Promise<etcdserverpb.AlarmResponse> {
    const request = methods.alarm.request.create({
      action: etcdserverpb.AlarmAction.DEACTIVATE,
      memberID: member.memberID,
      alarm: member.alarm,
    });
    return printedDeep(await this.#calls.unary(methods.alarm, request, options, 'always'));
  }

  /**
   * Rewrites the member's database without free pages; resolves when that is done. Our members serve
   * during it, a real etcd serves nothing else. It goes on if the call is cancelled. FAILED_PRECONDITION
   * if one is in progress, RESOURCE_EXHAUSTED without enough disk space; then nothing has changed.
   */
  defragment(options: EndpointOptions = {}): Promise<etcdserverpb.DefragmentResponse> {
    const method = methods.defragment;
    const request = method.request.create();
    return this.#at(options, (calls) => calls.unary(method, request, options, 'unbegun'));
  }

  /** Transfers leadership to another member. NOT_LEADER unless `endpoint` is the leader's. */
  async moveLeader(
    targetId: bigint,
    options: EndpointOptions = {},
  ): Promise<etcdserverpb.MoveLeaderResponse> {
    checkId(targetId, 'targetId');
    const method = methods.moveLeader;
    const request = method.request.create({ targetID: targetId });
    return this.#at(options, (calls) => calls.unary(method, request, options, 'always'));
  }

  /**
   * Whether the cluster may be downgraded to `version` (`3.6`, one minor version below its own), the begin
   * of that, or its end before it is complete (`cancel`, without a version). The response has the cluster
   * version, which follows within seconds. INVALID_DOWNGRADE_TARGET_VERSION, DOWNGRADE_IN_PROCESS.
   */
  async downgrade(
    action: DowngradeAction,
    version = '',
    options: CallOptions = {},
  ): Promise<etcdserverpb.DowngradeResponse> {
    checkText(version, 'version');
    const number = Object.hasOwn(DOWNGRADE_ACTIONS, action) ? DOWNGRADE_ACTIONS[action] : undefined;
    if (number === undefined) {
      throw invalidArgument(`action must be validate, enable or cancel, not ${String(action)}`);
    }
    const method = methods.downgrade;
    const request = method.request.create({ action: number, version });
    // A repeated begin could find the downgrade that it has begun itself.
    const repeats = action === 'enable' ? 'unbegun' : 'always';
    return printedDeep(await this.#calls.unary(method, request, options, repeats));
  }

  /** Yields the member's database file in pieces; the last 32 bytes are the SHA-256 of those before. */
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
