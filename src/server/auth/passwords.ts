// Passwords: hashed for the log, and verified at a login.
//
// A right password is remembered for some seconds, so that a thousand logins a second of one user cost one
// computation. What is remembered is a keyed hash that tells nothing outside of this process.

import { createHmac } from 'node:crypto';
import { ERROR_CODES, hasCode, latin1FromBytes } from '../../base/index.ts';
import type { Clock, Entropy } from '../../env/index.ts';
import { EtcdError } from '../../protocol/index.ts';
import { isHashable, type PasswordJob, SALT_BYTES, saltOf } from './bcrypt.ts';
import { VERIFIED_PASSWORD_MS, VERIFIED_PASSWORDS_MAX } from './limits.ts';
import type { PasswordRunner } from './password-threads.ts';

interface PasswordsOptions {
  readonly runner: PasswordRunner;
  readonly entropy: Entropy;
  readonly clock: Clock;
  /** Of new hashes, 4 to 31. */
  readonly cost: number;
}

/** Made once, as what the threads refuse with. */
const TOO_MANY_REQUESTS = new EtcdError('REQUEST_TOO_MANY_REQUESTS');

export class Passwords {
  readonly #options: PasswordsOptions;
  readonly #secret: Uint8Array;
  /** Of nobody, so that an unknown user takes as long as a wrong password. */
  readonly #nobodysHash: string;
  /** Until when what has this name is known to be right. */
  readonly #right = new Map<string, number>();
  readonly #verifying = new Map<string, Promise<boolean>>();

  constructor(options: PasswordsOptions) {
    this.#options = options;
    const { cost, entropy } = options;
    this.#secret = entropy.bytes(32);
    this.#nobodysHash = saltOf(cost, entropy.bytes(SALT_BYTES)) + '.'.repeat(31);
  }

  /**
   * The hash for the log, in base64. Rejects with an EtcdError: PASSWORD_TOO_LONG,
   * REQUEST_TOO_MANY_REQUESTS, TIMEOUT, STOPPED.
   */
  async hash(password: string): Promise<string> {
    if (!isHashable(password)) throw new EtcdError('PASSWORD_TOO_LONG');
    const { cost, entropy } = this.#options;
    const salt = saltOf(cost, entropy.bytes(SALT_BYTES));
    const hash = await this.#run({ kind: 'hash', password, salt });
    return Buffer.from(String(hash), 'latin1').toString('base64');
  }

  /** Whether {@link verify} would know at once that the password is right. */
  isKnown(username: string, password: string, hash: Uint8Array | undefined): boolean {
    return hash !== undefined && this.#isRight(this.#nameOf(username, password, textOf(hash)));
  }

  /**
   * Whether the password is the user's, whose hash is given; undefined for a user that does not exist, who
   * takes as long. Rejects as {@link hash} does.
   */
  verify(username: string, password: string, hash: Uint8Array | undefined): Promise<boolean> {
    const text = hash === undefined ? this.#nobodysHash : textOf(hash);
    const name = this.#nameOf(username, password, text);
    if (this.#isRight(name)) return Promise.resolve(true);
    let verifying = this.#verifying.get(name);
    if (verifying === undefined) {
      verifying = this.#verify(name, password, text).finally(() => this.#verifying.delete(name));
      this.#verifying.set(name, verifying);
    }
    return verifying.then((isRight) => isRight && hash !== undefined);
  }

  /** The users have changed. */
  forget(): void {
    this.#right.clear();
  }

  close(): void {
    this.forget();
    this.#options.runner.close();
  }

  async #verify(name: string, password: string, hash: string): Promise<boolean> {
    if ((await this.#run({ kind: 'verify', password, hash })) !== true) return false;
    if (this.#right.size >= VERIFIED_PASSWORDS_MAX) {
      this.#right.delete(this.#right.keys().next().value!);
    }
    this.#right.set(name, this.#options.clock.monotonicMs() + VERIFIED_PASSWORD_MS);
    return true;
  }

  #isRight(name: string): boolean {
    const untilMs = this.#right.get(name);
    if (untilMs === undefined) return false;
    if (this.#options.clock.monotonicMs() <= untilMs) return true;
    this.#right.delete(name);
    return false;
  }

  #nameOf(username: string, password: string, hash: string): string {
    const text = JSON.stringify([username, password, hash]);
    return createHmac('sha256', this.#secret).update(text).digest('base64');
  }

  async #run(job: PasswordJob): Promise<string | boolean> {
    try {
      return await this.#options.runner.run(job);
    } catch (error) {
      if (hasCode(error, ERROR_CODES.LIMIT_EXCEEDED)) {
        throw TOO_MANY_REQUESTS;
      }
      if (hasCode(error, ERROR_CODES.TIMEOUT)) throw new EtcdError('TIMEOUT', { cause: error });
      if (hasCode(error, ERROR_CODES.CLOSED)) throw new EtcdError('STOPPED', { cause: error });
      throw error;
    }
  }
}

/** A hash is ASCII; anything else matches nothing. */
function textOf(hash: Uint8Array): string {
  return latin1FromBytes(hash);
}
