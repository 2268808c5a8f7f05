// Whether a caller may renew a lease or be told its keys: it has to be permitted every key that is attached.

import { LeaseAccess } from '../../auth/index.ts';
import { Slices } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { Call } from '../../rpc/index.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Callers } from './callers.ts';
import { LEASE_CHECK_KEYS } from './limits.ts';

interface LeaseChecksParts {
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly store: StoreView<'auth' | 'leases'>;
  readonly callers: Pick<Callers, 'areAsked' | 'identify'>;
}

export class LeaseChecks {
  readonly #parts: LeaseChecksParts;

  constructor(parts: LeaseChecksParts) {
    this.#parts = parts;
  }

  /**
   * Why the caller may not have to do with these leases; those that do not exist are left out. In slices:
   * if users or roles change meanwhile, that is the refusal.
   */
  async refusal(
    call: Call,
    to: 'read' | 'write',
    ids: Iterable<bigint>,
  ): Promise<EtcdErrorName | undefined> {
    const { callers, env, store } = this.#parts;
    if (!callers.areAsked) return undefined;
    const identity = await callers.identify(call);
    if (typeof identity === 'string') return identity;
    // The check may take several turns, in which another store may take the place of this one.
    const { auth, leases } = store.machine;
    const { revision } = auth.state;
    if (!auth.state.enabled) return undefined;
    if (identity === undefined) return 'USER_EMPTY';
    const keys = [...ids].flatMap((id) => leases.lessor.lookup(id)?.keys ?? []);
    const check = new LeaseAccess(auth.state, identity, to, keys);
    const slices = new Slices(env);
    while (!check.step(LEASE_CHECK_KEYS)) await slices.next();
    if (check.refusal !== undefined) return check.refusal;
    return revision === store.machine.auth.state.revision ? undefined : 'AUTH_OLD_REVISION';
  }
}
