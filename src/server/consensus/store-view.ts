// The state machine as seen by other parts; owned by `state-machine-owner.ts`.

import type { StateMachine } from '../../store/index.ts';

/** Read `machine` each time, since a leader's snapshot replaces it. */
export interface StoreView<Part extends keyof StateMachine> {
  readonly machine: Pick<StateMachine, Part>;
}
