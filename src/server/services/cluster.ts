// etcdserverpb.Cluster: member list and membership changes.

import { type Member, sortedUrls } from '../../membership/index.ts';
import { EtcdError, type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import { type Callers, tokenOf } from '../auth/callers.ts';
import type { MembershipChangeOutcome, MembershipChanges } from '../cluster/membership-changes.ts';
import { parseUrls } from '../config/index.ts';
import type { Read, ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { ResponseHeaders } from './response-header.ts';

const methods = etcdserverpb.ClusterService.methods;
/** As in etcd, responses of this service have no revision. */
const NO_REVISION = 0;

export interface ClusterServiceParts {
  readonly header: Pick<ResponseHeaders, 'message'>;
  readonly reads: Pick<ReadIndexQueue, 'request'>;
  readonly store: StoreView<'cluster'>;
  readonly callers: Pick<Callers, 'areAsked' | 'identify'>;
  readonly changes: Pick<MembershipChanges, 'add' | 'remove' | 'update' | 'promote'>;
}

export function registerClusterService(table: ServiceTable, parts: ClusterServiceParts): void {
  const { reads, callers, changes } = parts;
  const list = (call: UnaryCall, { linearizable }: etcdserverpb.MemberListRequest): void => {
    const answer = new MemberListRead(parts, call);
    if (linearizable) reads.request(answer);
    else answer.serve();
  };
  table.unary(methods.memberList, list, { access: 'handler' });
  table.unary(methods.memberAdd, (call, request) => void add(parts, call, request), {
    access: 'root',
    check: ({ peerURLs }) => {
      if (!areUsable(peerURLs)) throw new EtcdError('MEMBER_BAD_URLS');
    },
  });
  table.unary(
    methods.memberRemove,
    (call, { id }) => void change(parts, call, methods.memberRemove.response, changes.remove(id)),
    { access: 'root' },
  );
  table.unary(
    methods.memberUpdate,
    (call, { id, peerURLs }) =>
      void change(parts, call, methods.memberUpdate.response, changes.update(id, peerURLs)),
    { access: 'root' },
  );
  table.unary(
    methods.memberPromote,
    (call, { id }) =>
      void change(
        parts,
        call,
        methods.memberPromote.response,
        changes.promote(id, callers.areAsked ? tokenOf(call) : undefined),
      ),
    { access: 'root' },
  );
}

async function add(
  { header, changes }: ClusterServiceParts,
  call: UnaryCall,
  request: etcdserverpb.MemberAddRequest,
): Promise<void> {
  const outcome = await changes.add(request.peerURLs, request.isLearner);
  if (outcome.error !== undefined) {
    failWith(call, outcome.error);
    return;
  }
  call.reply(methods.memberAdd.response, {
    header: header.message(NO_REVISION),
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

/** Whether each text is a single valid URL, as etcd requires. */
function areUsable(urls: readonly string[]): boolean {
  return urls.length > 0 && urls.every((url) => !url.includes(',') && 'value' in parseUrls(url));
}

type ChangeResponse = (typeof methods)['memberRemove']['response'];

async function change(
  { header }: ClusterServiceParts,
  call: UnaryCall,
  response: ChangeResponse,
  pending: Promise<MembershipChangeOutcome>,
): Promise<void> {
  const outcome = await pending;
  if (outcome.error !== undefined) failWith(call, outcome.error);
  else
    call.reply(response, {
      header: header.message(NO_REVISION),
      members: outcome.members.map(shown),
    });
}

function shown({ id, name, peerURLs, clientURLs, isLearner }: Member): etcdserverpb.Member {
  return { id, name, peerURLs: [...peerURLs], clientURLs: [...clientURLs], isLearner };
}

class MemberListRead implements Read {
  readonly #parts: ClusterServiceParts;
  readonly #call: UnaryCall;

  constructor(parts: ClusterServiceParts, call: UnaryCall) {
    this.#parts = parts;
    this.#call = call;
  }

  serve(): void {
    const { callers } = this.#parts;
    if (!callers.areAsked) this.#answer();
    else void this.#ask();
  }

  /** Anybody who is somebody may see the members; asked now, as of what the read has shown. */
  async #ask(): Promise<void> {
    const identity = await this.#parts.callers.identify(this.#call);
    if (typeof identity === 'string') this.fail(identity);
    else if (identity === undefined && this.#parts.callers.areAsked) this.fail('USER_EMPTY');
    else this.#answer();
  }

  #answer(): void {
    const { header, store } = this.#parts;
    this.#call.reply(methods.memberList.response, {
      header: header.message(NO_REVISION),
      members: store.machine.cluster.members().map(shown),
    });
  }

  fail(error: EtcdErrorName): void {
    failWith(this.#call, error);
  }
}
