// Who makes a call: the user of its token, or else of its certificate.
//
// Tokens are read when a permission is asked for, and again for the next one: what was good when a call
// came may not be when it is served.

import type { Access } from '../../auth/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import type { Call, Caller } from '../../rpc/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Logger } from '../telemetry/log.ts';
import { fingerprint } from './fingerprint.ts';
import type { TokenInfo, TokenOutcome, TokenProvider } from './token-provider.ts';

/** Undefined: nobody. An error: why it cannot be told. */
export type Identity = Caller | EtcdErrorName | undefined;

interface CallersParts {
  readonly log: Logger;
  readonly store: StoreView<'auth'>;
  readonly raft: Pick<RaftState, 'appliedIndex'>;
  readonly reads: Pick<ReadIndexQueue, 'whenLinearizable'>;
  readonly tokens: TokenProvider;
  readonly config: { readonly clientTls: Pick<ServerConfig['clientTls'], 'clientCertAuth'> };
}

const BEARER = 'Bearer ';

export class Callers {
  readonly #parts: CallersParts;

  constructor(parts: CallersParts) {
    this.#parts = parts;
  }

  /** Authentication is on. While it is off nobody is asked for a name. */
  get areAsked(): boolean {
    return this.#parts.store.machine.auth.state.enabled;
  }

  /** The caller of requests that the member makes on its own, such as revoking expired leases. */
  get root(): Caller | undefined {
    const { enabled, revision } = this.#parts.store.machine.auth.state;
    return enabled ? { username: 'root', authRevision: revision } : undefined;
  }

  /** Reads the call's token or certificate, and notes the caller in the call. */
  identify(call: Call): Identity | Promise<Identity> {
    if (!this.areAsked) return undefined;
    const token = tokenOf(call);
    if (token === undefined) {
      // One that this process made is made in the name that it came with.
      call.caller = this.#fromCertificate(call) ?? call.caller;
      return call.caller;
    }
    const identity = this.identifyToken(token);
    if (!(identity instanceof Promise)) return noted(call, identity);
    return identity.then((known) => noted(call, known));
  }

  /** Reads a token, with or without `Bearer ` before it. */
  identifyToken(text: string): Identity | Promise<Identity> {
    const { tokens, raft } = this.#parts;
    const token = text.startsWith(BEARER) ? text.slice(BEARER.length) : text;
    const info = tokens.info(token);
    if (info instanceof Promise) return info.then((known) => this.#identityOf(known, token));
    if (info === undefined && (tokens.entryOf(token) ?? 0) > raft.appliedIndex) {
      return this.#identifyLater(token);
    }
    return this.#identityOf(info, token);
  }

  /**
   * A token of a member that is ahead. Whatever has been answered anywhere by now is applied here after one
   * linearizable read: a token that is not known then, however large its index, is made up. When the read
   * fails, as on a member that is cut off, its error is the answer: the token may be good.
   */
  async #identifyLater(token: string): Promise<Identity> {
    const failed = await this.#parts.reads.whenLinearizable();
    if (failed !== undefined) return failed;
    return this.#identityOf(await this.#parts.tokens.info(token), token);
  }

  #identityOf(info: TokenOutcome, token: string): Identity {
    if (typeof info === 'string') return info;
    if (info !== undefined) return callerOf(info, this.#parts.store.machine.auth.state.revision);
    this.#parts.log.warn('invalid auth token', { 'token-fingerprint': fingerprint(token) });
    return 'INVALID_AUTH_TOKEN';
  }

  /** Not of a request that came through a gateway, whose certificate would be the gateway's own. */
  #fromCertificate({ peer, metadata }: Call): Caller | undefined {
    const { config, store } = this.#parts;
    if (!config.clientTls.clientCertAuth || peer.certificate === undefined) return undefined;
    if (metadata.get('grpcgateway-accept') !== undefined) return undefined;
    const username = peer.certificate.commonName ?? '';
    return { username, authRevision: store.machine.auth.state.revision };
  }

  /**
   * Asks whether the caller may do with keys what `refusalOf` looks for, and tells `then` why not; in this
   * turn, unless the token has to be waited for.
   */
  check(
    call: Call,
    refusalOf: (access: Access) => EtcdErrorName | undefined,
    then: (refusal: EtcdErrorName | undefined) => void,
  ): void {
    const identity = this.identify(call);
    if (!(identity instanceof Promise)) then(this.#refusal(identity, refusalOf));
    else void identity.then((known) => then(this.#refusal(known, refusalOf)));
  }

  #refusal(
    identity: Identity,
    refusalOf: (access: Access) => EtcdErrorName | undefined,
  ): EtcdErrorName | undefined {
    if (typeof identity === 'string') return identity;
    return refusalOf(this.#parts.store.machine.auth.state.accessOf(identity));
  }

  /** Users or roles have changed since the caller was identified: what it was permitted may not be now. */
  isOutdated({ caller }: Pick<Call, 'caller'>): boolean {
    if (caller === undefined || caller.authRevision === 0) return false;
    return caller.authRevision !== this.#parts.store.machine.auth.state.revision;
  }

  /** Why the caller may not administer the cluster. */
  async adminRefusal(identity: Identity | Promise<Identity>): Promise<EtcdErrorName | undefined> {
    const known = await identity;
    return typeof known === 'string'
      ? known
      : this.#parts.store.machine.auth.state.adminRefusal(known);
  }
}

/** What a call brings as its token; undefined if it has none. */
export function tokenOf({ metadata }: Pick<Call, 'metadata'>): string | undefined {
  return metadata.get('token') ?? metadata.get('authorization');
}

function noted(call: Call, identity: Identity): Identity {
  call.caller = typeof identity === 'string' ? undefined : identity;
  return identity;
}

function callerOf({ username, authRevision }: TokenInfo, current: number): Caller {
  return { username, authRevision: authRevision ?? current };
}
