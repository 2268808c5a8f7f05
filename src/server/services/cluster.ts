// etcdserverpb.Cluster, as far as a member alone in its cluster has it: the list of members.

import type { Server, UnaryCall } from '../../grpc/index.ts';
import { type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import type { MemberCore } from '../core.ts';
import type { Read } from '../reads.ts';
import { failWith, registerUnary } from './reply.ts';

const methods = etcdserverpb.ClusterService.methods;

export function registerClusterService(server: Server, core: MemberCore): void {
  registerUnary(server, core, methods.memberList, (call, request) => {
    const answer = new MemberListRead(core, call);
    if (request.linearizable) core.reads.request(answer);
    else answer.serve();
  });
}

class MemberListRead implements Read {
  readonly #core: MemberCore;
  readonly #call: UnaryCall;

  constructor(core: MemberCore, call: UnaryCall) {
    this.#core = core;
    this.#call = call;
  }

  serve(): void {
    const core = this.#core;
    this.#call.reply(methods.memberList.response, {
      // As etcd has it: the answers of this service carry no revision.
      header: {
        clusterId: core.clusterId,
        memberId: core.memberId,
        revision: 0,
        raftTerm: core.raft.term,
      },
      members: core.machine.cluster.members().map((member) => ({
        id: member.id,
        name: member.name,
        peerURLs: [...member.peerURLs],
        clientURLs: [...member.clientURLs],
        isLearner: member.isLearner,
      })),
    });
  }

  fail(error: EtcdErrorName): void {
    failWith(this.#call, error);
  }
}
