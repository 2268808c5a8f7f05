// Whether a caller may renew a lease or be told its keys: it has to be permitted every key that is attached.

import { type AuthInfo, LeaseAccess } from '../../auth/index.ts';
import { latin1FromBytes, Slices } from '../../base/index.ts';
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
    const { callers, store } = this.#parts;
    if (!callers.areAsked) return undefined;
    const identity = await callers.identify(call);
    if (typeof identity === 'string') return identity;
    const { auth, leases } = store.machine;
    if (!auth.state.enabled) return undefined;
    if (identity === undefined) return 'USER_EMPTY';
    return this.#check(
      identity,
      to,
      [...ids].flatMap((id) => leases.lessor.lookup(id)?.keys ?? []),
    );
  }

  /**
   * Why the caller, whom {@link refusal} has identified, may not be told these keys of a lease: some may have
   * been attached since then, or not be known here yet.
   */
  async keysRefusal(
    { caller }: Pick<Call, 'caller'>,
    keys: readonly Uint8Array[],
  ): Promise<EtcdErrorName | undefined> {
    if (!this.#parts.store.machine.auth.state.enabled) return undefined;
    return this.#check(caller, 'read', [{ pieces: () => piecesOf(keys) }]);
  }

  async #check(
    caller: AuthInfo | undefined,
    to: 'read' | 'write',
    leases: ConstructorParameters<typeof LeaseAccess>[3],
  ): Promise<EtcdErrorName | undefined> {
    const { env, store } = this.#parts;
    // The check may take several turns, in which another store may take the place of this one.
    const { state } = store.machine.auth;
    const { revision } = state;
    const check = new LeaseAccess(state, caller, to, leases);
    const slices = new Slices(env);
    while (!check.step(LEASE_CHECK_KEYS)) await slices.next();
    if (check.refusal !== undefined) return check.refusal;
    return revision === store.machine.auth.state.revision ? undefined : 'AUTH_OLD_REVISION';
  }
}

function* piecesOf(keys: readonly Uint8Array[]): Generator<ReadonlySet<string>, undefined> {
  for (let i = 0; i < keys.length; i += LEASE_CHECK_KEYS) {
    yield new Set(keys.slice(i, i + LEASE_CHECK_KEYS).map((key) => latin1FromBytes(key)));
  }
}
