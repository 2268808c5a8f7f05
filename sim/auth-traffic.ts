// Users of a run, and the administrator who changes what they may do while they do it.

import { type Random, seededRandom } from '../src/base/index.ts';
import { type Client, EtcdError, type PermissionType } from '../src/client/index.ts';
import { authpb } from '../src/protocol/index.ts';
import type { AdminOperation, AuthEvidence } from './check/auth-guarantees.ts';
import { clientTarget } from './check/client-target.ts';
import type { Request } from './check/history.ts';
import type { Reply, Target } from './check/recorder.ts';
import type { WatchEvidence } from './check/watch-permissions.ts';
import type { SimCluster } from './cluster.ts';
import type { SimNode } from './node.ts';
import type { Plan, TokenKind } from './plan.ts';
import { UserWatches } from './user-watches.ts';

export const OPERATOR: { readonly user: string; readonly password: string } = {
  ...{ user: 'root', password: 'root' },
};
const USERS = ['u0', 'u1', 'u2'];
const ROLES = ['r0', 'r1', 'r2'];
/** Each begins elsewhere: etcd has its own way with two permissions that begin at one key. */
const RANGES: readonly (readonly [key: string, end: string])[] = [
  ['k', 'l'],
  ['k00', ''],
  ['k01', ''],
  ['k02', 'k04'],
  ['k03', 'l'],
];
const TYPES = ['read', 'write', 'readwrite'] as const;
const PASSWORDS = 2;
const SETUP_MS_MAX = 30_000;
const REQUEST_MS = 3_000;
const ADMIN_PAUSE_MS = 1_500;

const passwordOf = (user: string, number: number): string => `${user}.${number % PASSWORDS}`;

/** All of a run that has to do with users. */
export class RunUsers {
  readonly #cluster: SimCluster;
  readonly #random: Random;
  readonly #users = new Map<string, string>();
  readonly #refusedPasswords = new Map<string, string[]>();
  readonly #administration: AdminOperation[] = [];
  readonly #targets: UserTarget[] = [];
  readonly #tokens: TokenKind;
  readonly watches: UserWatches;

  constructor(cluster: SimCluster, { seed, tokens }: Pick<Plan, 'seed' | 'tokens'>) {
    this.#cluster = cluster;
    this.#tokens = tokens;
    this.watches = new UserWatches(cluster, seed);
    this.#random = seededRandom(seed ^ 0xa074);
  }

  get evidence(): AuthEvidence {
    return {
      states: this.#cluster.authStates,
      users: this.#users,
      refusedPasswords: this.#refusedPasswords,
      administration: this.#administration,
    };
  }

  get watchEvidence(): WatchEvidence {
    const { asked, users } = this.watches;
    return { states: this.#cluster.authStates, tokens: this.#tokens, asked, users };
  }

  /** Users, roles, and authentication on; false if that does not succeed in time. */
  async begin(): Promise<boolean> {
    const cluster = this.#cluster;
    const client = cluster.client();
    const endMs = cluster.nowMs + SETUP_MS_MAX;
    const isOn = () => cluster.authStates.newest.enabled;
    while (!isOn() && cluster.nowMs < endMs) {
      for (const user of [OPERATOR.user, ...USERS]) await this.#addUser(client, user);
      for (const role of ROLES) await this.#addRole(client, role);
      await this.#grantRole(client, 'root', 'root');
      for (const [i, user] of USERS.entries()) await this.#grantRole(client, user, ROLES[i]!);
      for (const role of ROLES) await this.#grant(client, role, this.#one(RANGES), 'readwrite');
      await this.#admin('enable', () => client.auth.enable());
      await cluster.sleep(100);
    }
    client.close();
    return isOn();
  }

  /** What the client with this name does, it does as one of the users. */
  targetOf(name: string, nodes: readonly SimNode[]): Target {
    const user = USERS[this.#users.size % USERS.length]!;
    this.#users.set(name, user);
    const refused: string[] = [];
    this.#refusedPasswords.set(name, refused);
    const target = new UserTarget(this.#cluster, { user, nodes, refused });
    this.#targets.push(target);
    return target;
  }

  close(): void {
    for (const target of this.#targets) target.close();
  }

  /** Begins watches that last, and asks for others until then. */
  async watch(endMs: number): Promise<void> {
    const { nodes } = this.#cluster;
    const numbers = Array.from({ length: PASSWORDS }, (_, number) => number);
    const users = USERS.map((user) => ({
      ...{ user, passwords: numbers.map((number) => passwordOf(user, number)) },
    }));
    this.watches.open(users, nodes);
    await Promise.all(
      users.map((each, i) => this.watches.ask(each, i === 0 ? [nodes[0]!] : nodes, endMs)),
    );
  }

  /** Changes users and roles until then. */
  async administer(endMs: number): Promise<void> {
    const cluster = this.#cluster;
    const client = cluster.client();
    while (cluster.clock.monotonicMs() < endMs) {
      await this.#change(client);
      await cluster.sleep(this.#random.below(ADMIN_PAUSE_MS));
    }
    // Users that were deleted and authentication that was turned off do not stay so.
    await this.#admin('enable', () => client.auth.enable());
    client.close();
  }

  #one<T>(items: readonly T[]): T {
    return items[this.#random.below(items.length)]!;
  }

  async #change(client: Client): Promise<void> {
    const { auth } = client;
    const [user, role] = [this.#one(USERS), this.#one(ROLES)];
    const choice = this.#random.below(20);
    if (choice < 6) await this.#grant(client, role, this.#one(RANGES), this.#one(TYPES));
    else if (choice < 9) await this.#revoke(client, role, this.#one(RANGES));
    else if (choice < 12) await this.#grantRole(client, user, role);
    else if (choice < 14) {
      await this.#admin(`revoke role ${user} ${role}`, (limits) =>
        auth.userRevokeRole(user, role, limits),
      );
    } else if (choice < 16) {
      const password = passwordOf(user, this.#random.below(PASSWORDS));
      await this.#admin(`change password ${user}`, (limits) =>
        auth.userChangePassword(user, password, limits),
      );
    } else if (choice < 17) {
      await this.#admin(`delete role ${role}`, (limits) => auth.roleDelete(role, limits));
      await this.#addRole(client, role);
    } else if (choice < 18) {
      await this.#admin(`delete user ${user}`, (limits) => auth.userDelete(user, limits));
      await this.#cluster.sleep(this.#random.below(500));
      await this.#addUser(client, user);
    } else if (choice < 19) {
      await this.#admin('disable', (limits) => auth.disable(limits));
      await this.#cluster.sleep(this.#random.below(500));
      await this.#admin('enable', (limits) => auth.enable(limits));
    } else {
      // What a lost answer left behind is put right.
      await this.#addUser(client, user);
      await this.#addRole(client, role);
      await this.#admin('enable', (limits) => auth.enable(limits));
    }
  }

  #addUser({ auth }: Client, user: string): Promise<void> {
    const password = user === OPERATOR.user ? OPERATOR.password : passwordOf(user, 0);
    return this.#admin(`add user ${user}`, (limits) => auth.userAdd(user, password, limits));
  }

  #addRole({ auth }: Client, role: string): Promise<void> {
    return this.#admin(`add role ${role}`, (limits) => auth.roleAdd(role, limits));
  }

  #grantRole({ auth }: Client, user: string, role: string): Promise<void> {
    return this.#admin(`grant role ${user} ${role}`, (limits) =>
      auth.userGrantRole(user, role, limits),
    );
  }

  #grant(
    { auth }: Client,
    role: string,
    [key, end]: readonly [string, string],
    type: PermissionType,
  ): Promise<void> {
    const number = authpb.Type[type.toUpperCase() as Uppercase<PermissionType>];
    return this.#admin(`grant ${role} ${number} ${key} ${end}`, (limits) =>
      auth.roleGrantPermission(role, type, key, { ...rangeEnd(end), ...limits }),
    );
  }

  #revoke({ auth }: Client, role: string, [key, end]: readonly [string, string]): Promise<void> {
    return this.#admin(`revoke ${role} ${key} ${end}`, (limits) =>
      auth.roleRevokePermission(role, key, { ...rangeEnd(end), ...limits }),
    );
  }

  async #admin(
    what: string,
    work: (limits: { readonly timeoutMs: number }) => Promise<unknown>,
  ): Promise<void> {
    const { recorder } = this.#cluster;
    const called = recorder.moment();
    let outcome: AdminOperation['outcome'] = 'ok';
    try {
      await work({ timeoutMs: REQUEST_MS });
    } catch (error) {
      const isRefusal = error instanceof EtcdError && REFUSALS.has(error.code);
      outcome = isRefusal ? { refused: error.code } : 'unknown';
    }
    this.#administration.push({ what, called, returned: recorder.moment(), outcome });
    this.#cluster.log(`${what}: ${JSON.stringify(outcome)}`);
  }
}

/** What only the state machine decides. */
const REFUSALS: ReadonlySet<string> = new Set([
  'INVALID_AUTH_MGMT',
  'PERMISSION_DENIED',
  'PERMISSION_NOT_GRANTED',
  'ROLE_ALREADY_EXIST',
  'ROLE_NOT_FOUND',
  'ROLE_NOT_GRANTED',
  'ROOT_ROLE_NOT_EXIST',
  'ROOT_USER_NOT_EXIST',
  'USER_ALREADY_EXIST',
  'USER_NOT_FOUND',
]);

function rangeEnd(end: string): { readonly rangeEnd?: string } {
  return end === '' ? {} : { rangeEnd: end };
}

interface UserTargetOptions {
  readonly user: string;
  readonly nodes: readonly SimNode[];
  /** Passwords of logins that were refused. */
  readonly refused: string[];
}

/** A client of one user, who tries another password when one is refused. */
class UserTarget implements Target {
  readonly #cluster: SimCluster;
  readonly #options: UserTargetOptions;
  #number = 0;
  #client: Client | undefined;

  constructor(cluster: SimCluster, options: UserTargetOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  execute(request: Request): Promise<Reply> {
    const { user, nodes } = this.#options;
    const password = passwordOf(user, this.#number);
    this.#client ??= this.#cluster.client(nodes, { user, password });
    return clientTarget(this.#client, { timeoutMs: REQUEST_MS }).execute(request);
  }

  refusalOf(error: unknown): string | undefined {
    const client = this.#client!;
    const refusal = clientTarget(client, { timeoutMs: REQUEST_MS }).refusalOf(error);
    if (refusal === 'AUTH_FAILED') {
      this.#options.refused.push(passwordOf(this.#options.user, this.#number));
      this.#number++;
      this.close();
    }
    return refusal;
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }
}
