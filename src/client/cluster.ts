// Members of the cluster.

import { etcdserverpb } from '../protocol/index.ts';
import type { Calls } from './calls.ts';
import type { CallOptions } from './options.ts';

const { methods } = etcdserverpb.ClusterService;

export class ClusterClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** `linearizable` (default true): as the cluster agrees, not as the asked member believes. */
  memberList(
    options: { readonly linearizable?: boolean } & CallOptions = {},
  ): Promise<etcdserverpb.MemberListResponse> {
    const request = methods.memberList.request.create({
      linearizable: options.linearizable ?? true,
    });
    return this.#calls.unary(methods.memberList, request, options, 'read');
  }

  memberAdd(
    peerUrls: readonly string[],
    options: { readonly learner?: boolean } & CallOptions = {},
  ): Promise<etcdserverpb.MemberAddResponse> {
    const request = methods.memberAdd.request.create({
      peerURLs: [...peerUrls],
      isLearner: options.learner ?? false,
    });
    return this.#calls.unary(methods.memberAdd, request, options, 'write');
  }

  memberRemove(id: bigint, options: CallOptions = {}): Promise<etcdserverpb.MemberRemoveResponse> {
    const request = methods.memberRemove.request.create({ id });
    return this.#calls.unary(methods.memberRemove, request, options, 'write');
  }

  memberUpdate(
    id: bigint,
    peerUrls: readonly string[],
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberUpdateResponse> {
    const request = methods.memberUpdate.request.create({ id, peerURLs: [...peerUrls] });
    return this.#calls.unary(methods.memberUpdate, request, options, 'write');
  }

  memberPromote(
    id: bigint,
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberPromoteResponse> {
    const request = methods.memberPromote.request.create({ id });
    return this.#calls.unary(methods.memberPromote, request, options, 'write');
  }
}
