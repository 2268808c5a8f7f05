// The first election after a start may come sooner than the election timeout.

import { formatId } from '../../membership/index.ts';
import { electionTicks } from '../config/index.ts';
import type { MemberCore } from '../core.ts';
import { FIRST_LINKS_CHECK_MS, FIRST_LINKS_TIMEOUT_MS } from '../limits.ts';

/**
 * With links to others up, a leader among them would have been heard of soon: all but two of the
 * ticks of an election timeout are taken at once. `tick` lets one pass.
 */
export function hastenFirstElection(core: MemberCore, tick: () => void): void {
  const { clock, timers } = core.env;
  const deadlineMs = clock.monotonicMs() + FIRST_LINKS_TIMEOUT_MS;
  const look = () => {
    if (core.isStopping || core.raft.leader !== 0n || core.isAlone) return;
    const activePeers = core.peers.activeCount;
    if (activePeers > 1) {
      const ticks = electionTicks(core.config) - 2;
      core.log.info('initialized peer connections; fast-forwarding election ticks', {
        'local-member-id': formatId(core.memberId),
        'forward-ticks': ticks,
        'active-remote-members': activePeers,
      });
      for (let i = 0; i < ticks; i++) tick();
    } else if (clock.monotonicMs() < deadlineMs) timers.after(FIRST_LINKS_CHECK_MS, look);
  };
  timers.after(FIRST_LINKS_CHECK_MS, look);
}
