// etcdserverpb.Cluster: the members, and changing them.

import { type Member, sortedUrls } from '../../membership/index.ts';
import { type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import type { ChangeOutcome } from '../cluster/membership-changes.ts';
import { parseUrls } from '../config/index.ts';
import type { Read } from '../consensus/read-index-queue.ts';
import type { MemberCore } from '../core.ts';

const methods = etcdserverpb.ClusterService.methods;

export function registerClusterService(table: ServiceTable, core: MemberCore): void {
  table.unary(methods.memberList, (call, request) => {
    const answer = new MemberListRead(core, call);
    if (request.linearizable) core.reads.request(answer);
    else answer.serve();
  });
  table.unary(methods.memberAdd, (call, request) => {
    void add(core, call, request);
  });
  table.unary(methods.memberRemove, (call, { id }) => {
    void change(core, call, methods.memberRemove.response, core.changes.remove(id));
  });
  table.unary(methods.memberUpdate, (call, { id, peerURLs }) => {
    void change(core, call, methods.memberUpdate.response, core.changes.update(id, peerURLs));
  });
  table.unary(methods.memberPromote, (call, { id }) => {
    void change(core, call, methods.memberPromote.response, core.changes.promote(id));
  });
}

async function add(
  core: MemberCore,
  call: UnaryCall,
  request: etcdserverpb.MemberAddRequest,
): Promise<void> {
  if (!areUsable(request.peerURLs)) {
    failWith(call, 'MEMBER_BAD_URLS');
    return;
  }
  const outcome = await core.changes.add(request.peerURLs, request.isLearner);
  if (outcome.error !== undefined) {
    failWith(call, outcome.error);
    return;
  }
  call.reply(methods.memberAdd.response, {
    header: headerOf(core),
    member: {
      id: outcome.id,
      name: '',
      peerURLs: sortedUrls(request.peerURLs),
      clientURLs: [],
      isLearner: request.isLearner,
    },
    members: outcome.members.map(shown),
  });
}

/** Every URL is one on its own, of a form that etcd takes. */
function areUsable(urls: readonly string[]): boolean {
  return urls.length > 0 && urls.every((url) => !url.includes(',') && 'value' in parseUrls(url));
}

type ChangeResponse = (typeof methods)['memberRemove']['response'];

async function change(
  core: MemberCore,
  call: UnaryCall,
  response: ChangeResponse,
  pending: Promise<ChangeOutcome>,
): Promise<void> {
  const outcome = await pending;
  if (outcome.error !== undefined) failWith(call, outcome.error);
  else call.reply(response, { header: headerOf(core), members: outcome.members.map(shown) });
}

/** As etcd has it: the answers of this service carry no revision. */
function headerOf(core: MemberCore): etcdserverpb.ResponseHeader {
  return {
    clusterId: core.clusterId,
    memberId: core.memberId,
    revision: 0,
    raftTerm: core.raft.term,
  };
}

function shown({ id, name, peerURLs, clientURLs, isLearner }: Member): etcdserverpb.Member {
  return { id, name, peerURLs: [...peerURLs], clientURLs: [...clientURLs], isLearner };
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
      header: headerOf(core),
      members: core.machine.cluster.members().map(shown),
    });
  }

  fail(error: EtcdErrorName): void {
    failWith(this.#call, error);
  }
}
