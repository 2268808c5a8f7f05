// JSON Web Tokens (RFC 7519), signed with a key that all members share: any member takes them, also after
// a restart, until they expire or the users and roles change.
//
// A signature is verified once; after that the token is known by a keyed hash
// of it, and a call is identified in its own turn.

import { createHmac } from 'node:crypto';
import { utf8FromBytes } from '../../base/index.ts';
import type { Clock, Entropy } from '../../env/index.ts';
import { EtcdError } from '../../protocol/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { fingerprint } from './fingerprint.ts';
import type { JwtKey } from './jwt-key.ts';
import type { JwtSignatures } from './jwt-signatures.ts';
import { TOKEN_CHARS_MAX, VERIFIED_TOKENS_MAX, VERIFYING_TOKENS_MAX } from './limits.ts';
import type { TokenInfo, TokenOutcome, TokenProvider } from './token-provider.ts';

/** Three parts in base64url; the library would pass over some characters that are none of its. */
const FORM = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** What a token with a good signature says, and when that holds: Unix seconds, `from` to before `until`. */
interface Claims extends TokenInfo {
  readonly authRevision: number;
  readonly from: number;
  readonly until: number;
}

interface JwtTokensOptions {
  readonly key: JwtKey;
  readonly signatures: JwtSignatures;
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Logger;
}

export class JwtTokens implements TokenProvider {
  readonly #options: JwtTokensOptions;
  /** Of this process: what is looked up tells nothing of the tokens that are known. */
  readonly #secret: Uint8Array;
  readonly #verified = new Map<string, Claims>();
  readonly #verifying = new Map<string, Promise<TokenInfo | undefined>>();

  constructor(options: JwtTokensOptions) {
    this.#options = options;
    this.#secret = options.entropy.bytes(32);
  }

  newPrefix(): string {
    return '';
  }

  assign(): string {
    if (this.#options.key.sign === undefined) throw new EtcdError('TOKEN_VERIFY_ONLY');
    return '';
  }

  async sign(username: string, authRevision: number): Promise<string> {
    const { key, signatures, clock, ttlMs, log } = this.#options;
    const exp = Math.floor((clock.wallMs() + ttlMs) / 1000);
    const claims = JSON.stringify({ exp, revision: authRevision, username });
    const token = await signatures.sign(Buffer.from(claims), key);
    if (log.debugEnabled) {
      log.debug('created/assigned a new JWT token', {
        'user-name': username,
        revision: authRevision,
        'token-fingerprint': fingerprint(token),
      });
    }
    return token;
  }

  info(token: string): TokenOutcome | Promise<TokenOutcome> {
    if (token.length > TOKEN_CHARS_MAX || !FORM.test(token)) return undefined;
    const name = createHmac('sha256', this.#secret).update(token, 'latin1').digest('base64');
    const known = this.#verified.get(name);
    if (known !== undefined) return this.#ifCurrent(known);
    const under = this.#verifying.get(name);
    if (under !== undefined) return under;
    if (this.#verifying.size >= VERIFYING_TOKENS_MAX) return 'REQUEST_TOO_MANY_REQUESTS';
    const verifying = this.#verify(token, name).finally(() => this.#verifying.delete(name));
    this.#verifying.set(name, verifying);
    return verifying;
  }

  entryOf(): undefined {
    return undefined;
  }

  invalidateUser(): void {
    // The auth revision has changed: who was authenticated before it is refused as outdated.
  }

  enable(): void {}

  disable(): void {}

  async #verify(token: string, name: string): Promise<TokenInfo | undefined> {
    const { key, signatures, log } = this.#options;
    let claims: Claims;
    try {
      claims = claimsOf(await signatures.verify(token, key));
    } catch (error) {
      log.warn('failed to parse a JWT token', {
        'token-fingerprint': fingerprint(token),
        error: reasonOf(error),
      });
      return undefined;
    }
    if (this.#verified.size >= VERIFIED_TOKENS_MAX) {
      this.#verified.delete(this.#verified.keys().next().value!);
    }
    this.#verified.set(name, claims);
    return this.#ifCurrent(claims);
  }

  #ifCurrent(claims: Claims): TokenInfo | undefined {
    const now = this.#options.clock.wallMs() / 1000;
    return claims.from <= now && now < claims.until ? claims : undefined;
  }
}

/** The claims are not what they have to be; the text quotes nothing of them. */
class ClaimsError extends Error {}

/** What is wrong with a token; other texts of the library and the platform may quote it. */
function reasonOf(error: unknown): string {
  if (error instanceof ClaimsError) return error.message;
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' ? code : 'not a JWT that this member takes';
}

/** As etcd reads them: `exp` and `nbf` may be missing, and of other claims none matters. */
function claimsOf(payload: Uint8Array): Claims {
  const { username, revision, exp, nbf } = objectIn(payload);
  if (typeof username !== 'string') throw new ClaimsError('there is no claim username');
  if (typeof revision !== 'number') throw new ClaimsError('there is no claim revision');
  return {
    username,
    authRevision: Math.min(Math.max(Math.trunc(revision), 0), Number.MAX_SAFE_INTEGER),
    from: secondsOf(nbf, 'nbf') ?? Number.NEGATIVE_INFINITY,
    until: secondsOf(exp, 'exp') ?? Number.POSITIVE_INFINITY,
  };
}

/** Whole seconds; undefined where the claim is missing or 0. */
function secondsOf(claim: unknown, name: string): number | undefined {
  if (claim === undefined || claim === 0) return undefined;
  if (typeof claim !== 'number') throw new ClaimsError(`${name} is invalid`);
  return Math.trunc(claim);
}

function objectIn(payload: Uint8Array): Readonly<Record<string, unknown>> {
  let claims: unknown;
  try {
    claims = JSON.parse(utf8FromBytes(payload));
  } catch {
    throw new ClaimsError('the claims are no JSON');
  }
  if (typeof claims === 'object' && claims !== null) return claims as Record<string, unknown>;
  throw new ClaimsError('the claims are no object');
}
