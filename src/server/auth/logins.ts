// Authenticate: a password for a token. The password is compared here; the log gets the user's name, and
// every member gives the user the same token when it applies that.
//
//     linearizable read ──► throttle ──► compare ──► log ──► token, unless the users changed meanwhile: again

import { hasNoPassword } from '../../auth/index.ts';
import { EtcdError, type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import type { Call } from '../../rpc/index.ts';
import { type ApplyResult, REQUEST_KIND } from '../../store/index.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Logger } from '../telemetry/log.ts';
import { LOGIN_ROUNDS_MAX } from './limits.ts';
import type { Attempt, LoginThrottle } from './login-throttle.ts';
import type { Passwords } from './passwords.ts';
import type { TokenProvider } from './token-provider.ts';

const { InternalAuthenticateRequestCodec } = etcdserverpb;

interface LoginsParts {
  readonly log: Logger;
  readonly reads: Pick<ReadIndexQueue, 'whenLinearizable'>;
  readonly proposals: Pick<Proposals, 'propose'>;
  readonly store: StoreView<'auth'>;
  readonly tokens: Pick<TokenProvider, 'newPrefix' | 'sign'>;
  readonly passwords: Pick<Passwords, 'isKnown' | 'verify'>;
  readonly throttle: Pick<LoginThrottle, 'begin' | 'end'>;
}

type Applied = Extract<ApplyResult, { readonly kind: 'authenticate' }> & {
  /** Of users and roles when the entry was applied. */
  readonly authRevision: number;
};

export class Logins {
  readonly #parts: LoginsParts;

  constructor(parts: LoginsParts) {
    this.#parts = parts;
  }

  /** The token. Rejects with an EtcdError. */
  async logIn(call: Call, request: etcdserverpb.AuthenticateRequest): Promise<string> {
    const { reads, tokens } = this.#parts;
    const failed = await reads.whenLinearizable();
    if (failed !== undefined) throw new EtcdError(failed);
    for (let round = 1; round <= LOGIN_ROUNDS_MAX && call.isWanted(); round++) {
      const revision = await this.#checkedRevision(call, request);
      const { token, authRevision } = await this.#propose(call, request.name);
      if (authRevision === revision) {
        return token === '' ? tokens.sign(request.name, authRevision) : token;
      }
      this.#parts.log.info('revision when password checked became stale; retrying');
    }
    throw new EtcdError('AUTH_OLD_REVISION');
  }

  /** The revision of the users of which one has this password. */
  async #checkedRevision(
    call: Call,
    { name, password }: etcdserverpb.AuthenticateRequest,
  ): Promise<number> {
    const { passwords, throttle, store, log } = this.#parts;
    const attempt: Attempt = { user: name, address: hostOf(call.peer.address) };
    const known = store.machine.auth.state;
    if (!known.enabled) throw new EtcdError('AUTH_NOT_ENABLED');
    if (passwords.isKnown(name, password, known.user(name)?.password)) return known.revision;
    if (!(await throttle.begin(attempt))) throw new EtcdError('REQUEST_TOO_MANY_REQUESTS');
    let isRight: boolean | undefined;
    try {
      // What was a moment ago may have changed while the attempt waited.
      const { enabled, revision } = store.machine.auth.state;
      const user = store.machine.auth.state.user(name);
      if (!enabled) throw new EtcdError('AUTH_NOT_ENABLED');
      const canLogIn = user !== undefined && !hasNoPassword(user);
      // Of everybody a password is compared: how long it takes does not tell who exists.
      const isMatch = await passwords.verify(name, password, canLogIn ? user.password : undefined);
      isRight = canLogIn && isMatch;
      if (isRight) return revision;
      const error = user === undefined || canLogIn ? 'AUTH_FAILED' : 'NO_PASSWORD_USER';
      const refusal = new EtcdError(error);
      log.warn('invalid authentication was requested', { user: name, error: refusal.message });
      throw refusal;
    } finally {
      throttle.end(attempt, isRight);
    }
  }

  #propose(call: Call, name: string): Promise<Applied> {
    const { proposals, store, tokens } = this.#parts;
    const simpleToken = tokens.newPrefix();
    const request = InternalAuthenticateRequestCodec.create({ name, simpleToken });
    const body = InternalAuthenticateRequestCodec.encode(request);
    return new Promise((resolve, reject) => {
      const fail = (error: EtcdErrorName) => reject(new EtcdError(error));
      proposals.propose(REQUEST_KIND.AUTHENTICATE, undefined, body, 0, body.length, {
        complete: (result) => {
          if (result.kind === 'error') fail(result.error);
          else if (result.kind !== 'authenticate') throw new TypeError('a login answers a login');
          else resolve({ ...result, authRevision: store.machine.auth.state.revision });
        },
        fail,
        isWanted: () => call.isWanted(),
      });
    });
  }
}

/** The address without its port; undefined for a Unix socket, behind which everybody may be. */
function hostOf(address: string): string | undefined {
  if (address === '@') return undefined;
  const colon = address.lastIndexOf(':');
  return colon < 0 ? address : address.slice(0, colon);
}
