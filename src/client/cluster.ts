// Members of the cluster.

import { etcdserverpb } from '../protocol/index.ts';
import type { Calls } from './calls.ts';
import type { CallOptions } from './options.ts';
import { checkPeerUrls } from './peer-urls.ts';

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
    return this.#calls.unary(methods.memberList, request, options, 'always');
  }

  /** INVALID_ARGUMENT if a URL is none that members could be reached by. */
  async memberAdd(
    peerUrls: readonly string[],
    options: { readonly learner?: boolean } & CallOptions = {},
  ): Promise<etcdserverpb.MemberAddResponse> {
    checkPeerUrls(peerUrls);
    const request = methods.memberAdd.request.create({
      peerURLs: [...peerUrls],
      isLearner: options.learner ?? false,
    });
    return this.#calls.unary(methods.memberAdd, request, options, 'unbegun');
  }

  /** As `memberAdd`: it gets the data, but has no vote until `memberPromote`. */
  memberAddAsLearner(
    peerUrls: readonly string[],
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberAddResponse> {
    return this.memberAdd(peerUrls, { ...options, learner: true });
  }

  memberRemove(id: bigint, options: CallOptions = {}): Promise<etcdserverpb.MemberRemoveResponse> {
    const request = methods.memberRemove.request.create({ id });
    return this.#calls.unary(methods.memberRemove, request, options, 'unbegun');
  }

  /** Other URLs for a member; INVALID_ARGUMENT as for `memberAdd`. */
  async memberUpdate(
    id: bigint,
    peerUrls: readonly string[],
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberUpdateResponse> {
    checkPeerUrls(peerUrls);
    const request = methods.memberUpdate.request.create({ id, peerURLs: [...peerUrls] });
    return this.#calls.unary(methods.memberUpdate, request, options, 'unbegun');
  }

  /** Gives a learner a vote. MEMBER_LEARNER_NOT_READY while it lags behind the leader. */
  memberPromote(
    id: bigint,
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberPromoteResponse> {
    const request = methods.memberPromote.request.create({ id });
    return this.#calls.unary(methods.memberPromote, request, options, 'unbegun');
  }
}
