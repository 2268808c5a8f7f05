// Raising the NOSPACE alarm through the log, once for all who ask while it is under way.

import { etcdserverpb } from '../../protocol/index.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import type { MemberCore } from '../core.ts';

const { AlarmAction, AlarmRequestCodec, AlarmType } = etcdserverpb;

type Core = Pick<MemberCore, 'log' | 'machine' | 'memberId' | 'proposals' | 'quota'>;

export class NoSpaceAlarm {
  readonly #core: Core;
  /** Bounded by the requests under way, each of which waits at most once. */
  #waiters: (() => void)[] | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Calls `then` when the alarm is raised, or cannot be. */
  raise(then: () => void): void {
    const { log, machine, memberId, proposals, quota } = this.#core;
    if (machine.alarms.has(AlarmType.NOSPACE)) {
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
