// Between the stored form of a configuration and ours.

import { equalIdSets, idSet } from '../quorum/index.ts';
import type { ConfState } from '../raftpb.ts';
import { type Configuration, isVoter } from '../tracker/index.ts';

export type RestoreOutcome =
  | { readonly ok: true; readonly config: Configuration }
  | { readonly ok: false; readonly reason: string };

/**
 * The configuration that a snapshot or the boot sequence recorded. Empty if `state` is; refused if
 * `state` cannot have come from any sequence of changes.
 */
export function configurationFrom(state: ConfState): RestoreOutcome {
  const config: Configuration = {
    voters: { incoming: idSet(state.voters), outgoing: idSet(state.votersOutgoing) },
    learners: idSet(state.learners),
    learnersNext: idSet(state.learnersNext),
    autoLeave: state.autoLeave,
  };
  const reason = flawOf(config);
  return reason === undefined ? { ok: true, config } : { ok: false, reason };
}

/** The stored form of `config`; ids ascending in every list. */
export function confStateOf(config: Configuration): ConfState {
  return {
    voters: [...config.voters.incoming],
    learners: [...config.learners],
    votersOutgoing: [...config.voters.outgoing],
    learnersNext: [...config.learnersNext],
    autoLeave: config.autoLeave,
  };
}

/** Whether both describe the same configuration, in any order of their lists. */
export function equivalentConfStates(a: ConfState, b: ConfState): boolean {
  return (
    equalIdSets(idSet(a.voters), idSet(b.voters)) &&
    equalIdSets(idSet(a.learners), idSet(b.learners)) &&
    equalIdSets(idSet(a.votersOutgoing), idSet(b.votersOutgoing)) &&
    equalIdSets(idSet(a.learnersNext), idSet(b.learnersNext)) &&
    a.autoLeave === b.autoLeave
  );
}

function flawOf(config: Configuration): string | undefined {
  const { incoming, outgoing } = config.voters;
  if (incoming.length === 0) {
    const others = outgoing.length + config.learners.length + config.learnersNext.length;
    return others > 0 ? 'removed all voters' : undefined;
  }
  if (config.learners.some((id) => isVoter(config, id))) return 'a learner cannot be a voter';
  if (config.learnersNext.some((id) => !outgoing.includes(id) || incoming.includes(id))) {
    return 'a staged learner must be an outgoing voter only';
  }
  if (outgoing.length === 0 && config.autoLeave) return 'autoleave without a joint config';
  return undefined;
}
