// Members of the cluster.

import { etcdserverpb } from '../protocol/index.ts';
import { checkFlags, checkId } from './arguments.ts';
import type { CallOptions } from './options.ts';
import { printedDeep } from './printed.ts';
import type { Calls } from './transport/calls.ts';
import { checkPeerUrls } from './transport/peer-urls.ts';

const { methods } = etcdserverpb.ClusterService;

/** The members of the cluster: listing and changing them. */
export class ClusterClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** All members. `linearizable` (default true): as agreed by a quorum; else the view of one member. */
  async memberList(
    options: { readonly linearizable?: boolean | undefined } & CallOptions = {},
  ): Promise<etcdserverpb.MemberListResponse> {
    checkFlags(options, ['linearizable']);
    const request = methods.memberList.request.create({
      linearizable: options.linearizable ?? true,
    });
    return printedDeep(await this.#calls.unary(methods.memberList, request, options, 'always'));
  }

  /** Adds a voting member. INVALID_ARGUMENT for a malformed peer URL. */
  async memberAdd(
    peerUrls: readonly string[],
    options: { readonly learner?: boolean | undefined } & CallOptions = {},
  ): Promise<etcdserverpb.MemberAddResponse> {
    checkPeerUrls(peerUrls);
    checkFlags(options, ['learner']);
    const request = methods.memberAdd.request.create({
      peerURLs: [...peerUrls],
      isLearner: options.learner ?? false,
    });
    return printedDeep(await this.#calls.unary(methods.memberAdd, request, options, 'unbegun'));
  }

  /** Adds a learner: it receives the log, and has no vote until `memberPromote`. Rejects as `memberAdd`. */
  memberAddAsLearner(
    peerUrls: readonly string[],
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberAddResponse> {
    return this.memberAdd(peerUrls, { ...options, learner: true });
  }

  async memberRemove(
    id: bigint,
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberRemoveResponse> {
    checkId(id, 'id');
    const request = methods.memberRemove.request.create({ id });
    return printedDeep(await this.#calls.unary(methods.memberRemove, request, options, 'unbegun'));
  }

  /** Replaces the peer URLs of a member; INVALID_ARGUMENT as for `memberAdd`. */
  async memberUpdate(
    id: bigint,
    peerUrls: readonly string[],
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberUpdateResponse> {
    checkId(id, 'id');
    checkPeerUrls(peerUrls);
    const request = methods.memberUpdate.request.create({ id, peerURLs: [...peerUrls] });
    return printedDeep(await this.#calls.unary(methods.memberUpdate, request, options, 'unbegun'));
  }

  /** Gives a learner a vote. LEARNER_NOT_READY while it lags behind the leader. */
  async memberPromote(
    id: bigint,
    options: CallOptions = {},
  ): Promise<etcdserverpb.MemberPromoteResponse> {
    checkId(id, 'id');
    const request = methods.memberPromote.request.create({ id });
    return printedDeep(await this.#calls.unary(methods.memberPromote, request, options, 'unbegun'));
  }
}
