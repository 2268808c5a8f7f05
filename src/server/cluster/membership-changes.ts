// Membership changes requested by clients: refusals before the proposal, and the proposal. Whether a
// change is legal is decided again when it is applied, the same on every member.

import { latin1FromBytes, utf8FromBytes } from '../../base/index.ts';
import {
  CONF_CHANGE,
  confChangeContext,
  formatId,
  type Member,
  memberIdFor,
  parseMembers,
  promotionContext,
  quorumOf,
  sortedUrls,
} from '../../membership/index.ts';
import { type PeerEnv, requestPeer } from '../../peer/index.ts';
import { ETCD_ERRORS, type EtcdErrorName, type raftpb } from '../../protocol/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { AppliedWaits } from '../consensus/applied-waits.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StoreView } from '../consensus/store-view.ts';
import {
  APPLY_TIMEOUT_MS,
  HEALTHY_LINK_MS,
  LEARNER_READY_SHARE,
  PEER_ANSWER_BYTES_MAX,
  requestTimeoutMs,
} from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import type { Peers } from './peers.ts';

interface MembershipChangesParts {
  readonly memberId: bigint;
  readonly config: Pick<ServerConfig, 'electionMs' | 'strictReconfigCheck'>;
  readonly env: PeerEnv;
  readonly log: Logger;
  readonly metrics: Pick<ServerMetrics, 'server'>;
  readonly raft: Pick<RaftState, 'leader' | 'status'>;
  readonly appliedWaits: Pick<AppliedWaits, 'whenCaughtUp'>;
  readonly proposals: Pick<Proposals, 'proposeConfChange'>;
  readonly store: StoreView<'cluster'>;
  readonly peers: Pick<Peers, 'connectedCount' | 'transport'>;
}

/** The members after a change, or the error. */
export type MembershipChangeOutcome =
  | { readonly members: readonly Member[]; readonly error?: undefined }
  | { readonly error: EtcdErrorName };

type Change = Omit<raftpb.ConfChange, 'id'>;

const EMPTY = new Uint8Array(0);
/** Refusals of a leader after which a retry is useless. */
const FINAL: readonly EtcdErrorName[] = [
  'LEARNER_NOT_READY',
  'MEMBER_NOT_FOUND',
  'MEMBER_NOT_LEARNER',
];

export class MembershipChanges {
  readonly #parts: MembershipChangesParts;

  constructor(parts: MembershipChangesParts) {
    this.#parts = parts;
  }

  /** `peerURLs` are valid. The new member's id is a hash of them and the time. */
  async add(
    peerURLs: readonly string[],
    isLearner: boolean,
  ): Promise<MembershipChangeOutcome & { readonly id: bigint }> {
    const addedAtSeconds = Math.floor(this.#parts.env.clock.wallMs() / 1000);
    const id = memberIdFor({ peerURLs, token: '', addedAtSeconds });
    const refusal = this.#refusalToAdd(isLearner);
    if (refusal !== undefined) return { id, error: refusal };
    const member = { id, peerURLs: sortedUrls(peerURLs), isLearner, name: '', clientURLs: [] };
    const type = isLearner ? CONF_CHANGE.ADD_LEARNER : CONF_CHANGE.ADD_NODE;
    const outcome = await this.#make({ type, nodeId: id, context: confChangeContext(member) });
    return { ...outcome, id };
  }

  async remove(id: bigint): Promise<MembershipChangeOutcome> {
    const refusal = this.#refusalToRemove(id);
    if (refusal !== undefined) return { error: refusal };
    return this.#make({ type: CONF_CHANGE.REMOVE_NODE, nodeId: id, context: EMPTY });
  }

  async update(id: bigint, peerURLs: readonly string[]): Promise<MembershipChangeOutcome> {
    const member = { id, peerURLs, isLearner: false, name: '', clientURLs: [] };
    const context = confChangeContext(member);
    return this.#make({ type: CONF_CHANGE.UPDATE_NODE, nodeId: id, context });
  }

  /**
   * Only the leader knows the progress of a learner: other members forward the request to it, with the
   * caller's valid `token`, if there is one.
   */
  async promote(id: bigint, token?: string): Promise<MembershipChangeOutcome> {
    const outcome = await this.promoteHere(id);
    if (outcome.error !== 'NOT_LEADER') return outcome;
    return this.#promoteAtLeader(id, token);
  }

  /** NOT_LEADER if this member does not lead. */
  async promoteHere(id: bigint): Promise<MembershipChangeOutcome> {
    const { metrics, appliedWaits } = this.#parts;
    // A leader may not have applied the learner's addition yet.
    const isCaughtUp = await appliedWaits.whenCaughtUp(APPLY_TIMEOUT_MS);
    const refusal = isCaughtUp ? this.#refusalToPromote(id) : 'TIMEOUT_WAIT_APPLIED_INDEX';
    const outcome =
      refusal === undefined
        ? await this.#make({
            type: CONF_CHANGE.ADD_NODE,
            nodeId: id,
            context: promotionContext(id),
          })
        : { error: refusal };
    if (outcome.error === undefined) metrics.server.learnerPromotions.value++;
    else if (outcome.error !== 'NOT_LEADER') {
      metrics.server.learnerPromotionFailures.with(ETCD_ERRORS[outcome.error].message).value++;
    }
    return outcome;
  }

  #make(change: Change): Promise<MembershipChangeOutcome> {
    const { proposals, store, log, memberId } = this.#parts;
    return new Promise((resolve) => {
      proposals.proposeConfChange(change, {
        complete: (result) => {
          if (result.kind === 'error') {
            resolve({ error: result.error });
            return;
          }
          log.info('applied a configuration change through raft', {
            'local-member-id': formatId(memberId),
            'raft-conf-change': change.type,
            'raft-conf-change-node-id': formatId(change.nodeId),
          });
          resolve({ members: store.machine.cluster.members() });
        },
        fail: (error) => resolve({ error }),
      });
    });
  }

  // --- What --strict-reconfig-check refuses --------------------------------------------------------

  #refusalToAdd(isLearner: boolean): EtcdErrorName | undefined {
    const { config, store, peers } = this.#parts;
    if (!config.strictReconfigCheck) return undefined;
    if (!isLearner && !store.machine.cluster.isReadyToAddVoter())
      return 'MEMBER_NOT_ENOUGH_STARTED';
    // The new member counts as unreachable.
    const voters = store.machine.cluster.votingMembers();
    if (voters.length === 1) return undefined;
    const connected = peers.connectedCount(voters, this.#healthySince());
    return connected >= quorumOf(voters.length + 1) ? undefined : 'UNHEALTHY';
  }

  #refusalToRemove(id: bigint): EtcdErrorName | undefined {
    const { config, store, peers, memberId } = this.#parts;
    const { cluster } = store.machine;
    if (!config.strictReconfigCheck || cluster.member(id)?.isLearner === true) return undefined;
    if (!cluster.isReadyToRemoveVoter(id)) return 'MEMBER_NOT_ENOUGH_STARTED';
    // A member that is down is not part of the active quorum.
    if (id !== memberId && peers.transport.activeSince(id) === undefined) return undefined;
    const voters = cluster.votingMembers();
    const connected = peers.connectedCount(voters, this.#healthySince());
    return connected - 1 < quorumOf(voters.length - 1) ? 'UNHEALTHY' : undefined;
  }

  #refusalToPromote(id: bigint): EtcdErrorName | undefined {
    const { config, store, raft } = this.#parts;
    const { progress, id: ownId } = raft.status();
    const own = progress.get(ownId);
    if (own === undefined) return 'NOT_LEADER';
    const learner = progress.get(id);
    if (learner === undefined) return 'MEMBER_NOT_FOUND';
    if (learner.match / own.match < LEARNER_READY_SHARE) return 'LEARNER_NOT_READY';
    if (!config.strictReconfigCheck || store.machine.cluster.isReadyToPromote()) return undefined;
    return 'MEMBER_NOT_ENOUGH_STARTED';
  }

  #healthySince(): number {
    return this.#parts.env.clock.monotonicMs() - HEALTHY_LINK_MS;
  }

  // --- At the leader -----------------------------------------------------------------------------

  async #promoteAtLeader(id: bigint, token: string | undefined): Promise<MembershipChangeOutcome> {
    const { env, config, raft, store } = this.#parts;
    const deadlineMs = env.clock.monotonicMs() + requestTimeoutMs(config.electionMs);
    for (;;) {
      const leader = store.machine.cluster.member(raft.leader);
      for (const url of leader?.peerURLs ?? []) {
        const outcome = await this.#askToPromote(url, id, token, deadlineMs);
        if (outcome !== undefined) return outcome;
      }
      if (env.clock.monotonicMs() + config.electionMs >= deadlineMs) {
        return { error: leader === undefined ? 'NO_LEADER' : 'TIMEOUT' };
      }
      await new Promise<void>((resolve) => env.timers.after(config.electionMs, resolve));
    }
  }

  /** Undefined without a valid answer. */
  async #askToPromote(
    url: string,
    id: bigint,
    token: string | undefined,
    deadlineMs: number,
  ): Promise<MembershipChangeOutcome | undefined> {
    const { env, log } = this.#parts;
    try {
      const answer = await requestPeer(env, {
        url,
        method: 'POST',
        path: `/members/promote/${id}`,
        headers: token === undefined ? {} : { Authorization: token },
        timeoutMs: Math.max(1, deadlineMs - env.clock.monotonicMs()),
        bodyBytesMax: PEER_ANSWER_BYTES_MAX,
      });
      if (answer.status === 200) {
        return { members: parseMembers(utf8FromBytes(answer.body), `answer of ${url}`) };
      }
      const text = latin1FromBytes(answer.body);
      const error = FINAL.find((name) => isAnswer(name, answer.status, text));
      return error === undefined ? undefined : { error };
    } catch (error) {
      log.warn('failed to forward a promotion to the leader', {
        address: url,
        error: String(error),
      });
      return undefined;
    }
  }
}

/** Both refusals of a learner have the same status. */
function isAnswer(name: EtcdErrorName, status: number, text: string): boolean {
  if (name === 'MEMBER_NOT_FOUND') return status === 404;
  const { message } = ETCD_ERRORS[name];
  return status === 412 && text.includes(message.replace('etcdserver: ', ''));
}
