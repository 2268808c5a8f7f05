// What a part sees of the state machine; `state-machine-owner.ts` has it.

import type { StateMachine } from '../../store/index.ts';

/** `machine` is asked for each time, since a leader's snapshot replaces it. */
export interface StoreView<Part extends keyof StateMachine> {
  readonly machine: Pick<StateMachine, Part>;
}
