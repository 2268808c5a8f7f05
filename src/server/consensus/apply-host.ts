// What the state machine asks of its member, and tells it, while an entry is applied.

import type { LogIndex } from '../../base/index.ts';
import { MEMBERSHIP_REFUSALS, type MembershipRefusal } from '../../membership/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import type { AnyConfChange, RawNode } from '../../raft/index.ts';
import type { ApplyResult, StateMachineHost } from '../../store/index.ts';
import { REFUSAL_ERRORS } from '../cluster/membership-changes.ts';
import type { MemberCore } from '../core.ts';
import type { RaftState } from './raft-state.ts';

type Core = Pick<
  MemberCore,
  'config' | 'env' | 'log' | 'machine' | 'proposals' | 'quota' | 'reads'
>;

interface ApplyHostParts {
  /** Looked at when something is applied; its parts need not exist before. */
  readonly core: Core;
  readonly node: RawNode;
  readonly raft: RaftState;
  /** The membership may have changed. */
  readonly onMembership: () => void;
  /** The first entry of this member's term as leader is applied. */
  readonly onLeading: () => void;
}

export class ApplyHost implements StateMachineHost {
  readonly #parts: ApplyHostParts;

  constructor(parts: ApplyHostParts) {
    this.#parts = parts;
  }

  isAwaited(idHigh: number, idLow: number): boolean {
    return this.#parts.core.proposals.isAwaited(idHigh, idLow);
  }

  onResult(idHigh: number, idLow: number, result: ApplyResult): void {
    this.#parts.core.proposals.take(idHigh, idLow)?.complete(result);
  }

  applyConfChange(change: AnyConfChange, index: LogIndex): raftpb.ConfState {
    return this.#parts.node.applyConfChange(change, index);
  }

  onConfChange(id: bigint, refusal: MembershipRefusal | undefined): void {
    const { core, onMembership } = this.#parts;
    if (refusal !== undefined) {
      core.log.warn('refused a membership change', { id, reason: MEMBERSHIP_REFUSALS[refusal] });
    }
    onMembership();
    const result: ApplyResult =
      refusal === undefined
        ? { kind: 'applied' }
        : { kind: 'error', error: REFUSAL_ERRORS[refusal] };
    core.proposals.takeWhole(id)?.complete(result);
  }

  /** The first entry of a leader's term: what came before is applied, leases may expire. */
  onEmptyEntry(): void {
    const { core, raft, onLeading } = this.#parts;
    core.reads.acceptFirstCommit();
    if (!raft.leads) return;
    core.machine.leases.lessor.promote(core.env.clock.monotonicMs(), core.config.electionMs);
    // In a later turn: the entry is still being applied.
    core.env.timers.after(0, onLeading);
  }

  hasRoomFor(costBytes: number): boolean {
    return this.#parts.core.quota.hasRoomFor(costBytes);
  }
}
