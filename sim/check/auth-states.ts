// Users and roles as the log made them, by a model that is naive on purpose, and when which member
// could have known them. What is handed in are the entries of the log, as members begin to apply them.

import { NaiveAuth } from '../../src/auth/naive-auth.fixture.ts';
import { latin1FromBytes } from '../../src/base/index.ts';
import { etcdserverpb, raftpb } from '../../src/protocol/index.ts';

const KEYS_MAX = 40;
const NAMES = [
  'k',
  // Beyond what is ever permitted, for ranges without an end.
  'm',
  ...Array.from({ length: KEYS_MAX }, (_, i) => `k${String(i).padStart(2, '0')}`),
];
/** The keys of the traffic, and one between each and the next. */
const KEYS = NAMES.flatMap((name) => [name, `${name}\0`]);

type Refusal = string | undefined;

/** Of whom a range may be read or written: a request of `user` as of this state. */
export class AuthModel extends NaiveAuth {
  /** In base64, as the log has them. */
  hashes: [user: string, hash: string][] = [];
  /** Counts what ends the simple tokens of a user, and of everybody. */
  #ended: Record<string, number> = {};
  #disabled = 0;

  constructor() {
    super(KEYS);
  }

  copy(): AuthModel {
    const copy = new AuthModel();
    const { enabled, revision } = this;
    const { users, roles, hashes } = structuredClone({
      ...{ users: this.users, roles: this.roles, hashes: this.hashes },
    });
    copy.#ended = { ...this.#ended };
    copy.#disabled = this.#disabled;
    return Object.assign(copy, { enabled, revision, users, roles, hashes });
  }

  /** Simple tokens of the user are good as long as this is the same. */
  tokenLife(user: string): string {
    return `${this.#disabled} ${this.#ended[user] ?? 0}`;
  }

  override deleteUser(user: string): ReturnType<NaiveAuth['deleteUser']> {
    const refusal = super.deleteUser(user);
    if (refusal === undefined) this.#endTokens(user);
    return refusal;
  }

  override disable(): ReturnType<NaiveAuth['disable']> {
    if (this.enabled) this.#disabled++;
    return super.disable();
  }

  #endTokens(user: string): void {
    this.#ended[user] = (this.#ended[user] ?? 0) + 1;
  }

  has(user: string): boolean {
    return this.users.some(([name]) => name === user);
  }

  isRoot(user: string): boolean {
    return this.users.some(([name, roles]) => name === user && roles.includes('root'));
  }

  /** Undefined if the range holds no key. */
  permits(user: string, to: 'read' | 'write', key: string, end = ''): boolean | undefined {
    const answer = this.may(user, this.revision, to, key, end);
    return answer === undefined ? undefined : answer === 'yes';
  }

  administration(user: string): Refusal {
    if (!this.enabled) return undefined;
    if (user === '') return 'USER_EMPTY';
    if (!this.has(user)) return 'USER_NOT_FOUND';
    return this.isRoot(user) ? undefined : 'PERMISSION_DENIED';
  }

  setHash(user: string, hash: string): Refusal {
    this.hashes = [...this.hashes.filter(([name]) => name !== user), [user, hash]];
    return undefined;
  }

  changePassword(user: string, hash: string): Refusal {
    if (!this.has(user)) return 'USER_NOT_FOUND';
    this.revision++;
    this.#endTokens(user);
    return this.setHash(user, hash);
  }
}

/** A request of an administrator that is in the log. */
export interface AuthEntry {
  /** The recorder's count when the first member began to apply it. */
  readonly order: number;
  /** The request, in words that those who make it use too. */
  readonly what: string;
  readonly refusal: Refusal;
}

interface State {
  readonly order: number;
  readonly index: number;
  readonly model: AuthModel;
}

/** From here on a member's state is at least this one. */
interface Place {
  readonly order: number;
  readonly state: number;
}

export class AuthStates {
  readonly entries: AuthEntry[] = [];
  /** One per change; the first is that of an empty database. */
  readonly #states: State[] = [{ order: 0, index: 0, model: new AuthModel() }];
  readonly #places = new Map<string, Place[]>();
  #newest = 0;

  get newest(): AuthModel {
    return this.#states.at(-1)!.model;
  }

  /** A process begins: what it knows first is what its disk has. */
  began(member: string, order: number): void {
    this.#placesOf(member).push({ order, state: 0 });
  }

  /**
   * A member begins to apply an entry; what is known before it is returned. The first member to do so
   * makes it known to the model.
   */
  applies(member: string, entry: raftpb.Entry, order: number): AuthModel {
    const before = this.#stateBefore(entry.index);
    const places = this.#placesOf(member);
    if (places.at(-1)?.state !== before) places.push({ order, state: before });
    if (entry.index > this.#newest) {
      this.#newest = entry.index;
      this.#apply(entry, order);
    }
    return this.#states[before]!.model;
  }

  #apply(entry: raftpb.Entry, order: number): void {
    const { index } = entry;
    const request = requestIn(entry);
    const change = request && changeOf(request);
    if (request === undefined || change === undefined) return;
    const model = this.newest.copy();
    const refusal = model.administration(request.header?.username ?? '') ?? change.make(model);
    this.entries.push({ order, what: change.what, refusal });
    if (refusal === undefined) this.#states.push({ order, index, model });
  }

  #stateBefore(index: number): number {
    let at = this.#states.length - 1;
    while (this.#states[at]!.index >= index) at--;
    return at;
  }

  #placesOf(member: string): Place[] {
    let places = this.#places.get(member);
    if (places === undefined) {
      places = [];
      this.#places.set(member, places);
    }
    return places;
  }

  // --- What could be known between two moments -----------------------------------------------------

  /** To a request that is decided by what was committed when it was made, or later. */
  committed(called: number, returned: number): AuthModel[] {
    return this.#from(this.#stateAt(called), returned);
  }

  /** To a request that a member decides by what it has applied. */
  applied(called: number, returned: number): AuthModel[] {
    const lowest = [...this.#places.values()].map((places) => lowestOf(places, called, returned));
    return this.#from(Math.min(this.#stateAt(called), ...lowest), returned);
  }

  #from(first: number, returned: number): AuthModel[] {
    return this.#states.slice(first, this.#stateAt(returned) + 1).map(({ model }) => model);
  }

  #stateAt(order: number): number {
    let at = this.#states.length - 1;
    while (this.#states[at]!.order > order) at--;
    return at;
  }
}

function lowestOf(places: readonly Place[], called: number, returned: number): number {
  const since = places.findLastIndex(({ order }) => order <= called);
  const known = places.slice(Math.max(0, since)).filter(({ order }) => order <= returned);
  return Math.min(Number.POSITIVE_INFINITY, ...known.map(({ state }) => state));
}

/** Undefined for what changes the membership, and for the bare requests of releases up to 3.4. */
export function requestIn({
  type,
  data,
}: raftpb.Entry): etcdserverpb.InternalRaftRequest | undefined {
  if (type !== raftpb.EntryType.EntryNormal || data.length === 0) return undefined;
  try {
    return etcdserverpb.InternalRaftRequestCodec.decode(data);
  } catch {
    return undefined;
  }
}

interface Change {
  readonly what: string;
  readonly make: (model: AuthModel) => Refusal;
}

function changeOf(request: etcdserverpb.InternalRaftRequest): Change | undefined {
  return changeOfUser(request) ?? changeOfRole(request);
}

function changeOfUser(request: etcdserverpb.InternalRaftRequest): Change | undefined {
  const { authUserAdd, authUserDelete, authUserChangePassword } = request;
  const { authUserGrantRole, authUserRevokeRole } = request;
  if (authUserAdd !== undefined) {
    const { name, hashedPassword } = authUserAdd;
    const make = (model: AuthModel) => model.addUser(name) ?? model.setHash(name, hashedPassword);
    return { what: `add user ${name}`, make };
  }
  if (authUserDelete !== undefined) {
    const { name } = authUserDelete;
    return { what: `delete user ${name}`, make: (model) => model.deleteUser(name) };
  }
  if (authUserChangePassword !== undefined) {
    const { name, hashedPassword } = authUserChangePassword;
    const make = (model: AuthModel) => model.changePassword(name, hashedPassword);
    return { what: `change password ${name}`, make };
  }
  if (authUserGrantRole !== undefined) {
    const { user, role } = authUserGrantRole;
    return { what: `grant role ${user} ${role}`, make: (model) => model.grantRole(user, role) };
  }
  if (authUserRevokeRole !== undefined) {
    const { name, role } = authUserRevokeRole;
    return { what: `revoke role ${name} ${role}`, make: (model) => model.revokeRole(name, role) };
  }
  return undefined;
}

function changeOfRole(request: etcdserverpb.InternalRaftRequest): Change | undefined {
  const { authRoleAdd, authRoleDelete } = request;
  const { authRoleGrantPermission, authRoleRevokePermission } = request;
  if (request.authEnable !== undefined) return { what: 'enable', make: (model) => model.enable() };
  if (request.authDisable !== undefined) {
    return { what: 'disable', make: (model) => model.disable() };
  }
  if (authRoleAdd !== undefined) {
    return {
      what: `add role ${authRoleAdd.name}`,
      make: (model) => model.addRole(authRoleAdd.name),
    };
  }
  if (authRoleDelete !== undefined) {
    const { role } = authRoleDelete;
    return { what: `delete role ${role}`, make: (model) => model.deleteRole(role) };
  }
  if (authRoleGrantPermission?.perm !== undefined) {
    const { name, perm } = authRoleGrantPermission;
    const [key, end] = [latin1FromBytes(perm.key), latin1FromBytes(perm.rangeEnd)];
    const make = (model: AuthModel) => model.grant(name, perm.permType, key, end);
    return { what: `grant ${name} ${perm.permType} ${key} ${end}`, make };
  }
  if (authRoleRevokePermission !== undefined) {
    const { role } = authRoleRevokePermission;
    const key = latin1FromBytes(authRoleRevokePermission.key);
    const end = latin1FromBytes(authRoleRevokePermission.rangeEnd);
    return { what: `revoke ${role} ${key} ${end}`, make: (model) => model.revoke(role, key, end) };
  }
  return undefined;
}
