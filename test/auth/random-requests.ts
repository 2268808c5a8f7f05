// Random requests about users and roles, and of users, from a seed.

import { type Random, seededRandom } from '../../src/base/index.ts';
import type { Message } from '../helpers/api.ts';
import type { Release } from '../helpers/real-etcd.ts';

export interface Ask {
  readonly rpc: string;
  readonly request: Message;
  /** In whose name: one of the tokens that were given so far; nobody's without. */
  readonly tokenIndex: number | undefined;
}

const ROOT = 'root';
const USERS = [ROOT, 'alice', 'bob', '__proto__', 'ü'];
const ROLES = [ROOT, 'r', 's', 'constructor'];
const KEYS = ['a', 'b', 'ba', 'c', '\xff'];
const FAILED_LOGINS_MAX = 4;
const PAST = 30;

export class RandomRequests {
  readonly #random: Random;
  readonly #release: Release;
  /** Passwords of the users that there are. */
  readonly #passwords = new Map<string, string>();
  /** Whose token each was, in order. */
  readonly #tokens: string[] = [];
  readonly #past: string[] = [];
  readonly #first: Omit<Ask, 'tokenIndex'>[];
  #failedLogins = 0;
  #isOn = false;

  constructor(seed: number, release: Release) {
    this.#random = seededRandom(seed);
    this.#release = release;
    this.#first = [
      auth('UserAdd', { name: ROOT, password: 'root' }),
      auth('UserGrantRole', { user: ROOT, role: ROOT }),
      auth('AuthEnable'),
      auth('Authenticate', { name: ROOT, password: 'root' }),
    ].reverse();
  }

  next(): Ask {
    const first = this.#first.pop();
    if (first !== undefined) return { ...first, tokenIndex: undefined };
    const choice = this.#random.below(100);
    if (!this.#isOn && choice < 20) return { ...auth('AuthEnable'), tokenIndex: undefined };
    // 3.4 looks at tokens while authentication is off, too.
    if (!this.#isOn && this.#release === '3.4') {
      return { ...(choice < 60 ? this.#keys() : this.#administration()), tokenIndex: undefined };
    }
    if (choice < 40) return { ...this.#keys(), tokenIndex: this.#anybody() };
    if (choice < 55) return this.#login();
    return { ...this.#administration(), tokenIndex: this.#mostlyRoot() };
  }

  /** What became of it. */
  note({ rpc, request, tokenIndex }: Ask, outcome: string): void {
    this.#past.push(`${this.#tokens[tokenIndex ?? -1] ?? '-'} ${rpc} ${JSON.stringify(request)}`);
    this.#past.push(`    ${outcome.slice(0, 200)}`);
    const isDone = !/^\d+ /.test(outcome);
    const { name, password } = request as { readonly name: string; readonly password: string };
    if (rpc === 'Auth/Authenticate') {
      if (isDone) this.#tokens.push(name);
      else this.#failedLogins++;
    }
    if (!isDone) return;
    if (rpc === 'Auth/AuthEnable') this.#isOn = true;
    if (rpc === 'Auth/AuthDisable') this.#isOn = false;
    if (rpc === 'Auth/UserDelete') this.#passwords.delete(name);
    else if (rpc === 'Auth/UserAdd' || rpc === 'Auth/UserChangePassword') {
      this.#passwords.set(name, password);
    }
  }

  past(): string {
    return this.#past.slice(-2 * PAST).join('\n');
  }

  get #isNewest(): boolean {
    return this.#release === '3.7';
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)]!;
  }

  /** Tokens that are no longer good are among them. */
  #anybody(): number | undefined {
    const count = this.#tokens.length;
    if (count === 0 || this.#random.below(12) === 0) return undefined;
    const newest = Math.min(count, 8);
    return this.#random.below(10) === 0
      ? this.#random.below(count)
      : count - 1 - this.#random.below(newest);
  }

  #mostlyRoot(): number | undefined {
    if (this.#random.below(8) === 0) return this.#anybody();
    const at = this.#tokens.lastIndexOf(ROOT);
    return at < 0 ? undefined : at;
  }

  /** Mostly with the password: who fails waits at ours. */
  #login(): Ask {
    const known = [...this.#passwords.keys()];
    if (known.length === 0) return { ...auth('UserList'), tokenIndex: undefined };
    const isRoot = this.#passwords.has(ROOT) && this.#random.below(3) === 0;
    const name = isRoot ? ROOT : this.#one(known);
    const fails = this.#failedLogins < FAILED_LOGINS_MAX && this.#random.below(20) === 0;
    const password = `${this.#passwords.get(name)}${fails ? '!' : ''}`;
    return { ...auth('Authenticate', { name, password }), tokenIndex: undefined };
  }

  /** One that holds no key is permitted or not as the shape of a tree has it, in older releases another. */
  #range(): { readonly key: string; readonly range_end: string } {
    const key = this.#random.below(30) === 0 ? '\0' : this.#one(KEYS);
    const end = this.#one(['', '', '\0', this.#one(KEYS), this.#one(KEYS)]);
    const holdsKey = end === '' || end === '\0' || key < end;
    return { key, range_end: holdsKey || this.#isNewest ? end : '' };
  }

  #keys(): Omit<Ask, 'tokenIndex'> {
    const choice = this.#random.below(10);
    if (choice < 3) return { rpc: 'KV/Range', request: this.#rangeRequest() };
    if (choice < 6) return { rpc: 'KV/Put', request: this.#put(true) };
    if (choice < 7) return { rpc: 'KV/DeleteRange', request: this.#deletion(true) };
    if (choice < 9) return { rpc: 'KV/Txn', request: this.#transaction(2) };
    // Older releases answer these to everybody, or in other words.
    if (!this.#isNewest) return { rpc: 'KV/Range', request: this.#rangeRequest() };
    return this.#one([
      { rpc: 'Lease/LeaseTimeToLive', request: { ID: '7', keys: true } },
      { rpc: 'Lease/LeaseRevoke', request: { ID: '7' } },
      { rpc: 'Maintenance/Defragment', request: {} },
      { rpc: 'Maintenance/Alarm', request: {} },
    ]);
  }

  #rangeRequest(): Message {
    return { ...this.#range(), serializable: this.#random.below(2) === 0 };
  }

  #put(mayRead: boolean): Message {
    const prev_kv = mayRead && this.#random.below(3) === 0;
    return { key: this.#one(KEYS), value: String(this.#random.below(10)), prev_kv };
  }

  #deletion(mayRead: boolean): Message {
    return { ...this.#range(), prev_kv: mayRead && this.#random.below(3) === 0 };
  }

  /** Releases before 3.7.1 do not look into nested ones, nor at what puts there read. */
  #transaction(depth: number): Message {
    const operation = (): Message => {
      const choice = this.#random.below(this.#isNewest && depth > 0 ? 4 : 3);
      if (choice === 0) return { request_range: this.#rangeRequest() };
      if (choice === 1) return { request_put: { ...this.#put(this.#isNewest) } };
      if (choice === 2) return { request_delete_range: this.#deletion(this.#isNewest) };
      return { request_txn: this.#transaction(depth - 1) };
    };
    const compare = { ...this.#range(), target: 0, result: 1, version: '0' };
    return {
      compare: this.#random.below(2) === 0 ? [compare] : [],
      success: [operation()],
      failure: this.#random.below(2) === 0 ? [operation()] : [],
    };
  }

  #administration(): Omit<Ask, 'tokenIndex'> {
    const [user, role] = [this.#one(USERS), this.#one(ROLES)];
    const choice = this.#random.below(60);
    if (choice < 10) return auth('UserAdd', { name: user, password: `of ${user}` });
    if (choice < 12) return auth('UserDelete', { name: user });
    if (choice < 22) return auth('UserGrantRole', { user, role });
    if (choice < 25) return auth('UserRevokeRole', { name: user, role });
    if (choice < 29) return auth('RoleAdd', { name: role });
    if (choice < 30) return auth('RoleDelete', { role });
    if (choice < 44) return this.#grant(role);
    if (choice < 47) return auth('RoleRevokePermission', { role, ...this.#range() });
    if (choice < 49) {
      const password = `${this.#random.below(3)} of ${user}`;
      return auth('UserChangePassword', { name: user, password });
    }
    if (choice < 52) return auth('UserGet', { name: user });
    // Older ones tell what was granted to it in vain.
    const isTold = role !== ROOT || this.#isNewest;
    if (choice < 55 && isTold) return auth('RoleGet', { role });
    if (choice < 56) return auth('UserList');
    if (choice < 57) return auth('RoleList');
    if (choice < 58) return auth('AuthDisable');
    // Unknown to 3.4, for administrators in 3.5.
    return auth(this.#isNewest ? 'AuthStatus' : 'AuthEnable');
  }

  #grant(name: string): Omit<Ask, 'tokenIndex'> {
    const perm = { permType: this.#random.below(3), ...this.#range() };
    return auth('RoleGrantPermission', { name, perm });
  }
}

function auth(method: string, request: Message = {}): Omit<Ask, 'tokenIndex'> {
  return { rpc: `Auth/${method}`, request };
}
