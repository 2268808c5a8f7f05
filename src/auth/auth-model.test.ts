// Random changes and questions, against plain lists. AUTH_SEED repeats a run.

import { expect, test } from 'vitest';
import { type Random, seededRandom } from '../base/index.ts';
import type { EtcdErrorName } from '../protocol/index.ts';
import { AuthRig } from './auth-state.fixture.ts';
import { NaiveAuth, SHORT_KEYS } from './naive-auth.fixture.ts';

const SEED = Number(process.env['AUTH_SEED'] ?? 1);
const RUNS = 20;
const STEPS = 400;
const QUESTIONS = 4;

const USERS = ['root', 'alice', '__proto__', 'ü'];
const ROLES = ['root', 'r', 's', 'constructor'];

type Refusal = EtcdErrorName | undefined;

class Run {
  /** What was done, for the message. */
  readonly log: string[] = [];
  readonly #rig = new AuthRig();
  readonly #naive = new NaiveAuth();
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)]!;
  }

  #range(): [string, string] {
    const key = this.#one(SHORT_KEYS);
    return [key, this.#one(['', '', '\0', this.#one(SHORT_KEYS), this.#one(SHORT_KEYS)])];
  }

  /** What is rare keeps enough in place to ask about. */
  change(): void {
    const [user, role] = [this.#one(USERS), this.#one(ROLES)];
    const choice = this.#random.below(30);
    if (choice < 2) this.#both('enable', (auth) => auth.enable());
    else if (choice < 3) this.#both('disable', (auth) => auth.disable());
    else if (choice < 6) this.#both(`add ${user}`, (auth) => auth.addUser(user));
    else if (choice < 7) this.#both(`delete ${user}`, (auth) => auth.deleteUser(user));
    else if (choice < 12) this.#both(`${user} + ${role}`, (auth) => auth.grantRole(user, role));
    else if (choice < 14) this.#both(`${user} - ${role}`, (auth) => auth.revokeRole(user, role));
    else if (choice < 17) this.#both(`add role ${role}`, (auth) => auth.addRole(role));
    else if (choice < 18) this.#both(`delete role ${role}`, (auth) => auth.deleteRole(role));
    else if (choice < 20) this.#revoke(role, ...this.#range());
    else this.#grant(role, this.#random.below(3), ...this.#range());
  }

  /**
   * Where another permission has the key, one of the same range is not replaced but joined by another:
   * plain lists know nothing of that, so it is taken away first.
   */
  #grant(role: string, type: number, key: string, end: string): void {
    const has = this.#naive.roles.find(([name]) => name === role)?.[1] ?? [];
    if (has.some((one) => one.key === key && one.end === end)) this.#revoke(role, key, end);
    const said = `${role} + ${type} ${JSON.stringify([key, end])}`;
    this.#both(said, (auth) => auth.grant(role, type, key, end));
  }

  #revoke(role: string, key: string, end: string): void {
    const said = `${role} - ${JSON.stringify([key, end])}`;
    this.#both(said, (auth) => auth.revoke(role, key, end));
  }

  #both(said: string, make: (auth: AuthRig | NaiveAuth) => Refusal): void {
    const refusal = make(this.#rig);
    this.log.push(`${said}: ${refusal ?? 'done'}`);
    expect(refusal).toBe(make(this.#naive));
    // What the rows say is what is in memory.
    if (this.#random.below(5) === 0) this.#rig.state = this.#rig.rows.restored();
    const { enabled, revision } = this.#rig.state;
    expect([enabled, revision]).toEqual([this.#naive.enabled, this.#naive.revision]);
  }

  /** Returns the answer, or undefined if there is none to compare. */
  ask(): string | undefined {
    const { state } = this.#rig;
    const username = this.#one([...USERS, 'stranger']);
    const { revision } = state;
    const authRevision = this.#one([0, revision - 1, revision, revision, revision, revision]);
    const [key, end] = this.#range();
    const to = this.#one(['read', 'write'] as const);
    const expected = this.#naive.may(username, authRevision, to, key, end);
    if (expected === undefined) return undefined;
    const access = state.accessOf({ username, authRevision });
    const refusal = to === 'read' ? access.readRefusal(key, end) : access.writeRefusal(key, end);
    const asked = `${username}@${authRevision} ${to} ${JSON.stringify([key, end])}`;
    expect(refusal ?? 'yes', asked).toBe(expected);
    return expected;
  }
}

test('changes and decisions are those of plain lists', () => {
  const answers = new Map<string, number>();
  for (let i = 0; i < RUNS; i++) {
    const run = new Run(SEED * 1000 + i);
    try {
      for (let step = 0; step < STEPS; step++) {
        run.change();
        for (let question = 0; question < QUESTIONS; question++) {
          const answer = run.ask() ?? 'none';
          answers.set(answer, (answers.get(answer) ?? 0) + 1);
        }
      }
    } catch (cause) {
      const done = run.log.join('\n');
      throw new Error(`AUTH_SEED=${SEED}, run ${i}: ${cause}\n${done}`, { cause });
    }
  }
  // The runs have met what there is to meet.
  for (const answer of ['yes', 'USER_EMPTY', 'AUTH_OLD_REVISION', 'PERMISSION_DENIED']) {
    expect(answers.get(answer) ?? 0, answer).toBeGreaterThan(300);
  }
});
