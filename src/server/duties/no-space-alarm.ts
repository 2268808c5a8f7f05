// Raises the NOSPACE alarm through the log, once for all concurrent callers.

import { etcdserverpb } from '../../protocol/index.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Quota } from './quota.ts';

const { AlarmAction, AlarmRequestCodec, AlarmType } = etcdserverpb;

interface NoSpaceAlarmParts {
  readonly memberId: bigint;
  readonly log: Logger;
  readonly proposals: Pick<Proposals, 'propose'>;
  readonly quota: Pick<Quota, 'limitBytes' | 'heapFull' | 'diskFull'>;
  readonly store: StoreView<'alarms'>;
}

export class NoSpaceAlarm {
  readonly #parts: NoSpaceAlarmParts;
  /** Bounded by the concurrent requests, each of which waits at most once. */
  #waiters: (() => void)[] | undefined;

  constructor(parts: NoSpaceAlarmParts) {
    this.#parts = parts;
  }

  /** Calls `then` when the alarm is raised, or raising it has failed. */
  raise(then: () => void): void {
    const { log, store, memberId, proposals, quota } = this.#parts;
    if (store.machine.alarms.has(AlarmType.NOSPACE)) {
      then();
      return;
    }
    if (this.#waiters !== undefined) {
      this.#waiters.push(then);
      return;
    }
    const waiters = [then];
    this.#waiters = waiters;
    log.warn('the backend, the heap or the disk is full; raising the NOSPACE alarm', {
      'quota-size-bytes': quota.limitBytes,
      'heap-full': quota.heapFull,
      'disk-full': quota.diskFull,
    });
    const settle = () => {
      this.#waiters = undefined;
      for (const waiter of waiters) waiter();
    };
    const body = AlarmRequestCodec.encode({
      action: AlarmAction.ACTIVATE,
      memberID: memberId,
      alarm: AlarmType.NOSPACE,
    });
    const waiter = { complete: settle, fail: settle };
    proposals.propose(REQUEST_KIND.ALARM, undefined, body, 0, body.length, waiter);
  }
}
