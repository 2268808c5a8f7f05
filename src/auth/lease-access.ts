// Permission for a lease: attaching a key to it, or revoking it, needs permission to write every key
// that is attached, since all are deleted with it. In slices: a lease may have millions.

import type { EtcdErrorName } from '../protocol/index.ts';
import type { AuthInfo } from './access.ts';
import type { AuthState } from './auth-state.ts';

/** The keys of a lease in pieces of bounded size, one char per byte. */
export interface LeaseKeys {
  pieces(): Iterator<ReadonlySet<string>>;
}

/** One check of all keys of some leases, which must not change meanwhile, nor must the users. */
export class LeaseAccess {
  /** Why it is not permitted, once {@link step} has returned true. */
  refusal: EtcdErrorName | undefined = undefined;
  readonly #refuses: (key: string) => EtcdErrorName | undefined;
  readonly #leases: LeaseKeys[];
  #pieces: Iterator<ReadonlySet<string>> | undefined = undefined;

  /** Leases that do not exist are left out. An administrator need not be permitted any key. */
  constructor(
    auth: AuthState,
    info: AuthInfo | undefined,
    to: 'read' | 'write',
    leases: readonly LeaseKeys[],
  ) {
    const access = auth.accessOf(info);
    this.#refuses =
      to === 'read' ? (key) => access.readRefusal(key, '') : (key) => access.writeRefusal(key, '');
    this.#leases = auth.adminRefusal(info) === undefined ? [] : [...leases];
  }

  /** Looks at about `budget` keys; true when there is an answer. */
  step(budget: number): boolean {
    for (let left = budget; left > 0; ) {
      this.#pieces ??= this.#leases.pop()?.pieces();
      if (this.#pieces === undefined) return true;
      const piece = this.#pieces.next();
      if (piece.done === true) {
        this.#pieces = undefined;
        continue;
      }
      for (const key of piece.value) {
        this.refusal = this.#refuses(key);
        if (this.refusal !== undefined) return true;
      }
      left -= piece.value.size;
    }
    return false;
  }
}
