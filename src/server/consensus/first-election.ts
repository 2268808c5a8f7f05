// The first election after a start may come sooner than the election timeout.

import type { Env } from '../../env/index.ts';
import { formatId } from '../../membership/index.ts';
import { electionTicks, type ServerConfig } from '../config/index.ts';
import { FIRST_LINKS_CHECK_MS, FIRST_LINKS_TIMEOUT_MS } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { PeerLinks } from './peer-links.ts';
import type { RaftState } from './raft-state.ts';
import type { ReadyLoop } from './ready-loop.ts';
import type { StoreView } from './store-view.ts';

export interface CampaignParts {
  readonly memberId: bigint;
  readonly raft: Pick<RaftState, 'leader'>;
  readonly loop: Pick<ReadyLoop, 'campaign'>;
  readonly store: StoreView<'confState'>;
}

/** The only voter of a cluster campaigns without waiting for the election timeout. */
export function campaignIfOnlyVoter({ memberId, raft, loop, store }: CampaignParts): void {
  const { voters } = store.machine.confState;
  if (voters.length !== 1 || voters[0] !== memberId || raft.leader !== 0n) return;
  loop.campaign();
}

interface FirstElectionParts {
  readonly memberId: bigint;
  readonly config: ServerConfig;
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly log: Logger;
  readonly raft: Pick<RaftState, 'leader'>;
  readonly loop: Pick<ReadyLoop, 'tick'>;
  readonly peers: Pick<PeerLinks, 'activeCount'>;
  readonly membership: { readonly isAlone: boolean };
  readonly life: { readonly isStopping: boolean };
}

/**
 * Once peers are connected, a leader's message would arrive soon: the election timeout is advanced by all
 * but two of its ticks.
 */
export function hastenFirstElection(parts: FirstElectionParts): void {
  const { memberId, config, env, log, raft, loop, peers, membership, life } = parts;
  const { clock, timers } = env;
  const deadlineMs = clock.monotonicMs() + FIRST_LINKS_TIMEOUT_MS;
  const look = () => {
    if (life.isStopping || raft.leader !== 0n || membership.isAlone) return;
    const activePeers = peers.activeCount;
    if (activePeers > 1) {
      const ticks = electionTicks(config) - 2;
      log.info('initialized peer connections; fast-forwarding election ticks', {
        'local-member-id': formatId(memberId),
        'forward-ticks': ticks,
        'active-remote-members': activePeers,
      });
      for (let i = 0; i < ticks; i++) loop.tick();
    } else if (clock.monotonicMs() < deadlineMs) timers.after(FIRST_LINKS_CHECK_MS, look);
  };
  timers.after(FIRST_LINKS_CHECK_MS, look);
}
