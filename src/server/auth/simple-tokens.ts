// Simple tokens, `prefix.index`: random letters that the member which was asked put into the log, and the
// index before that of the entry, as etcd has it from 3.5 on. Each member keeps them in memory as it
// applies logins; they live for a while after their last use, and no longer than the process.

import { timingSafeEqual } from 'node:crypto';
import { bytesFromLatin1, invariant } from '../../base/index.ts';
import type { Clock, Entropy, Timer, Timers } from '../../env/index.ts';
import { TOKEN_CHARS_MAX, TOKEN_SWEEP_MS, USER_TOKENS_MAX } from './limits.ts';
import type { Login, TokenInfo, TokenProvider } from './token-provider.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const PREFIX_LETTERS = 16;

/** An index as Go's ParseUint takes it, and small enough to be one. */
const FORM = /^[^.]*\.(\d{1,20})$/;

interface Token {
  readonly bytes: Uint8Array;
  readonly info: TokenInfo;
  /** On the monotonic clock. */
  expiresMs: number;
}

interface SimpleTokensOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  /** How long a token lives after its last use. */
  readonly ttlMs: number;
}

export class SimpleTokens implements TokenProvider {
  readonly #options: SimpleTokensOptions;
  /** By the index in it, which is no secret: finding a token takes the same time whatever its letters are. */
  readonly #byIndex = new Map<number, Token>();
  /** The indexes of each user's tokens, oldest first. */
  readonly #byUser = new Map<string, Set<number>>();
  #sweep: Timer | undefined;

  constructor(options: SimpleTokensOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byIndex.size;
  }

  newPrefix(): string {
    let prefix = '';
    // A byte picks a letter if it is below the largest multiple of their number: all are as likely.
    const limit = 256 - (256 % LETTERS.length);
    while (prefix.length < PREFIX_LETTERS) {
      for (const byte of this.#options.entropy.bytes(2 * PREFIX_LETTERS)) {
        if (byte < limit && prefix.length < PREFIX_LETTERS)
          prefix += LETTERS[byte % LETTERS.length];
      }
    }
    return prefix;
  }

  assign({ username, prefix, index: entry }: Login): string {
    const index = entry - 1;
    const text = `${prefix}.${index}`;
    invariant(!this.#byIndex.has(index), 'an entry of the log is applied once');
    this.#byIndex.set(index, {
      bytes: bytesFromLatin1(text),
      info: { username, authRevision: undefined },
      expiresMs: this.#options.clock.monotonicMs() + this.#options.ttlMs,
    });
    let own = this.#byUser.get(username);
    if (own === undefined) {
      own = new Set();
      this.#byUser.set(username, own);
    }
    own.add(index);
    if (own.size > USER_TOKENS_MAX) this.#forget(own.values().next().value!);
    this.#scheduleSweep();
    return text;
  }

  sign(): never {
    throw new TypeError('a simple token is not signed');
  }

  info(text: string): TokenInfo | undefined {
    const index = indexIn(text);
    const token = index === undefined ? undefined : this.#byIndex.get(index);
    if (token === undefined) return undefined;
    const given = bytesFromLatin1(text);
    // How long a token is follows from its index.
    if (given.length !== token.bytes.length || !timingSafeEqual(given, token.bytes)) {
      return undefined;
    }
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs > token.expiresMs) return undefined;
    token.expiresMs = nowMs + this.#options.ttlMs;
    return token.info;
  }

  entryOf(text: string): number | undefined {
    const index = indexIn(text);
    return index === undefined ? undefined : index + 1;
  }

  invalidateUser(username: string): void {
    for (const index of this.#byUser.get(username) ?? []) this.#byIndex.delete(index);
    this.#byUser.delete(username);
  }

  enable(): void {}

  disable(): void {
    this.#byIndex.clear();
    this.#byUser.clear();
    this.#sweep?.cancel();
    this.#sweep = undefined;
  }

  #forget(index: number): void {
    const token = this.#byIndex.get(index);
    if (token === undefined) return;
    this.#byIndex.delete(index);
    const { username } = token.info;
    const own = this.#byUser.get(username);
    own?.delete(index);
    if (own?.size === 0) this.#byUser.delete(username);
  }

  #scheduleSweep(): void {
    this.#sweep ??= this.#options.timers.after(TOKEN_SWEEP_MS, () => {
      this.#sweep = undefined;
      const nowMs = this.#options.clock.monotonicMs();
      for (const [index, { expiresMs }] of this.#byIndex) {
        if (nowMs > expiresMs) this.#forget(index);
      }
      if (this.#byIndex.size > 0) this.#scheduleSweep();
    });
  }
}

function indexIn(text: string): number | undefined {
  if (text.length > TOKEN_CHARS_MAX) return undefined;
  const index = Number(FORM.exec(text)?.[1]);
  return Number.isSafeInteger(index) ? index : undefined;
}
