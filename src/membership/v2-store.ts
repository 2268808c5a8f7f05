// The JSON in a `.snap` file: the membership as the tree of etcd's old v2 store. Every release
// writes it; releases up to 3.5 boot from it. The format, in order of keys:
//
//   Root            node "/" with the children below
//   WatcherHub      EventHistory {Queue {Events, Size, Front, Back, Capacity}, StartIndex,
//                   LastIndex}: a ring of exactly 1000 slots with the store's latest changes;
//                   readers up to 3.5 go on filling it, a shorter array crashes them
//   CurrentIndex    number of changes
//   Stats           16 counters of the old HTTP API
//   CurrentVersion  2
//
// A node is {Path, CreatedIndex, ModifiedIndex, ExpireTime, Value, Children}; Children is null for
// a file and an object, sorted by key, for a directory. The paths:
//
//   /0/members/<hex id>/raftAttributes   {"peerURLs":[...],"isLearner":true?}
//   /0/members/<hex id>/attributes       {"name":"..","clientURLs":[..]}, once it was published
//   /0/removed_members/<hex id>          empty
//   /0/version                           3.7.0
//   /1                                   keys of the v2 API: must be empty, else we refuse
//   /2                                   users of the v2 API: tolerated while there are none
//
// What we write is what etcd from 3.6 on writes: a fresh tree with one change per fact, and the
// counters that making it leaves behind. The worked example is `v2-store.fixture.ts`.

import {
  bytesFromUtf8,
  compareBytes,
  ERROR_CODES,
  TetcdError,
  utf8FromBytes,
} from '../base/index.ts';
import { parseId } from './ids.ts';
import { formatId, type Member, type MemberId } from './member.ts';
import {
  parseAttributes,
  parseRaftAttributes,
  writeAttributes,
  writeRaftAttributes,
} from './member-json.ts';
import { mustParseVersion, NO_DOWNGRADE, type RowContents } from './rows.ts';
import { Fields, isArray, parseStoredJson, writeString } from './stored-json.ts';
import { type ClusterVersion, formatStoredVersion } from './version.ts';

const MEMBERS_PATH = '/0/members';
const REMOVED_PATH = '/0/removed_members';
export const VERSION_PATH = '/0/version';
const EVENT_SLOTS = 1000;
const STORE_VERSION = 2n;
const PERMANENT = '0001-01-01T00:00:00Z';

export function attributesPath(id: MemberId): string {
  return `${MEMBERS_PATH}/${formatId(id)}/attributes`;
}

/** The part of a cluster's state that the v2 store holds. */
export type V2Contents = Pick<RowContents, 'members' | 'removed' | 'version'>;

interface WrittenNode {
  readonly path: string;
  readonly index: number;
  readonly value: string;
  /** Undefined for a file. */
  readonly children: Map<string, WrittenNode> | undefined;
}

/** A change of the store, by its name in the old HTTP API. */
type V2Action = 'create' | 'set';

/** Builds the tree change by change, counting as the old store counted. */
class V2Writer {
  #index = 0;
  #creates = 0;
  #sets = 0;
  readonly #events: string[] = [];
  readonly #root = directory('/', 0);

  readonly #onChange: ((action: V2Action) => void) | undefined;

  constructor(onChange: ((action: V2Action) => void) | undefined) {
    this.#onChange = onChange;
    for (const path of ['/0', '/1']) this.#root.children?.set(path.slice(1), directory(path, 0));
  }

  add(action: V2Action, path: string, value: string): void {
    this.#onChange?.(action);
    this.#index++;
    if (action === 'create') this.#creates++;
    else this.#sets++;
    let parent = this.#root;
    const names = path.slice(1).split('/');
    const name = names.pop()!;
    for (const [depth, step] of names.entries()) {
      const children = parent.children!;
      const found = children.get(step);
      const next = found ?? directory(`/${names.slice(0, depth + 1).join('/')}`, this.#index);
      if (found === undefined) children.set(step, next);
      parent = next;
    }
    parent.children!.set(name, { path, index: this.#index, value, children: undefined });
    const numbers = `"modifiedIndex":${this.#index},"createdIndex":${this.#index}`;
    const node = `{"key":${writeString(path)},"value":${writeString(value)},${numbers}}`;
    this.#events.push(`{"action":"${action}","node":${node}}`);
  }

  text(): string {
    return (
      `{"Root":${writeNode(this.#root)},"WatcherHub":${this.#watcherHub()},` +
      `"CurrentIndex":${this.#index},"Stats":${this.#stats()},"CurrentVersion":${STORE_VERSION}}`
    );
  }

  #watcherHub(): string {
    const count = this.#events.length;
    const kept = Math.min(count, EVENT_SLOTS);
    // The ring: change number i (from 0) stands in slot i mod 1000.
    const slots: string[] = new Array(EVENT_SLOTS).fill('null');
    for (let i = count - kept; i < count; i++) slots[i % EVENT_SLOTS] = this.#events[i]!;
    const back = count % EVENT_SLOTS;
    const front = count > EVENT_SLOTS ? back : 0;
    const start = count === 0 ? 0 : count - kept + 1;
    return (
      `{"EventHistory":{"Queue":{"Events":[${slots.join(',')}],"Size":${kept},"Front":${front},` +
      `"Back":${back},"Capacity":${EVENT_SLOTS}},"StartIndex":${start},"LastIndex":${count}}}`
    );
  }

  #stats(): string {
    // etcd looks for members in the fresh store before it fills it: one failed get.
    return (
      `{"getsSuccess":0,"getsFail":1,"setsSuccess":${this.#sets},"setsFail":0,` +
      '"deleteSuccess":0,"deleteFail":0,"updateSuccess":0,"updateFail":0,' +
      `"createSuccess":${this.#creates},"createFail":0,` +
      '"compareAndSwapSuccess":0,"compareAndSwapFail":0,' +
      '"compareAndDeleteSuccess":0,"compareAndDeleteFail":0,"expireCount":0,"watchers":0}'
    );
  }
}

function directory(path: string, index: number): WrittenNode {
  return { path, index, value: '', children: new Map() };
}

function writeNode(node: WrittenNode): string {
  const indexes = `"CreatedIndex":${node.index},"ModifiedIndex":${node.index}`;
  return (
    `{"Path":${writeString(node.path)},${indexes},` +
    `"ExpireTime":"${PERMANENT}","Value":${writeString(node.value)},` +
    `"Children":${writeChildren(node.children)}}`
  );
}

function writeChildren(children: ReadonlyMap<string, WrittenNode> | undefined): string {
  if (children === undefined) return 'null';
  const sorted = [...children].sort(([a], [b]) => compareBytes(bytesFromUtf8(a), bytesFromUtf8(b)));
  return `{${sorted.map(([name, node]) => `${writeString(name)}:${writeNode(node)}`).join(',')}}`;
}

/**
 * The data of a raft snapshot for this membership; a fresh array. Equal contents give equal bytes:
 * members and removed ids must come sorted, as `Cluster.state` has them. `onChange` is told of each change
 * that makes the store.
 */
export function writeV2Store(
  contents: V2Contents,
  onChange?: (action: V2Action) => void,
): Uint8Array {
  const writer = new V2Writer(onChange);
  for (const member of contents.members) {
    const path = `${MEMBERS_PATH}/${formatId(member.id)}`;
    writer.add('create', `${path}/raftAttributes`, writeRaftAttributes(member));
    // As etcd has it: client URLs, not the name, tell that the member has published itself.
    if (member.clientURLs.length > 0) {
      writer.add('set', attributesPath(member.id), writeAttributes(member));
    }
  }
  for (const id of contents.removed) writer.add('create', `${REMOVED_PATH}/${formatId(id)}`, '');
  if (contents.version !== undefined) {
    writer.add('set', VERSION_PATH, formatStoredVersion(contents.version));
  }
  return bytesFromUtf8(writer.text());
}

interface ReadNode {
  readonly path: string;
  readonly value: string;
  /** Undefined for a file. */
  readonly children: ReadonlyMap<string, ReadNode> | undefined;
}

/**
 * Reads the data of a raft snapshot. The history of changes and the counters are not looked at:
 * nothing depends on them. MALFORMED for a broken text; UNSUPPORTED, naming the path, for anything
 * that is not membership (keys or users of the v2 API above all): taking such a directory over
 * would lose it.
 */
export function readV2Store(data: Uint8Array): RowContents {
  const what = 'v2 store of a snapshot';
  const store = new Fields(parseStoredJson(utf8FromBytes(data), what), what);
  for (const key of ['WatcherHub', 'CurrentIndex', 'Stats']) store.take(key);
  const version = store.take('CurrentVersion');
  if (version !== STORE_VERSION) {
    throw new TetcdError(
      ERROR_CODES.UNSUPPORTED,
      `${what}: its version is ${String(version)}, not 2`,
    );
  }
  const root = readNode(store.object('Root'), '/');
  store.onlyThese();
  for (const [name, node] of childrenOf(root)) {
    if (name === '0') continue;
    if (name === '1') refuseKeys(node);
    else if (name === '2') refuseUsers(node);
    else throw unknownPath(node);
  }
  const own = root.children?.get('0');
  return own === undefined ? EMPTY : readMembership(own);
}

const EMPTY: RowContents = {
  members: [],
  removed: [],
  version: undefined,
  downgrade: NO_DOWNGRADE,
};

function readNode(fields: Fields, path: string): ReadNode {
  const what = `v2 store of a snapshot, ${path}`;
  if (fields.string('Path') !== path) fields.refuse('Path', `the node's place, ${path}`);
  for (const key of ['CreatedIndex', 'ModifiedIndex']) fields.count(key);
  const value = fields.string('Value');
  if (fields.string('ExpireTime') !== PERMANENT) {
    throw new TetcdError(ERROR_CODES.UNSUPPORTED, `${what}: keys of the v2 API that expire`);
  }
  const raw = fields.take('Children') ?? null;
  fields.onlyThese();
  if (raw === null) return { path, value, children: undefined };
  if (typeof raw !== 'object' || isArray(raw)) fields.refuse('Children', 'an object or null');
  const children = new Map<string, ReadNode>();
  const prefix = path === '/' ? '/' : `${path}/`;
  for (const [name, child] of Object.entries(raw)) {
    children.set(name, readNode(new Fields(child, what), prefix + name));
  }
  return { path, value, children };
}

function refuseKeys(node: ReadNode): void {
  const [first] = childrenOf(node);
  if (first === undefined && node.children !== undefined) return;
  const path = first?.[1].path ?? node.path;
  throw new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    `the snapshot holds keys of etcd's v2 API (${path}), which this release cannot keep`,
  );
}

/** A store whose v2 users were all deleted keeps two empty directories and a switch. */
function refuseUsers(node: ReadNode): void {
  for (const [name, child] of childrenOf(node)) {
    const isLeftOver =
      name === 'enabled'
        ? child.children === undefined && child.value === 'false'
        : child.children?.size === 0;
    if (isLeftOver) continue;
    throw new TetcdError(
      ERROR_CODES.UNSUPPORTED,
      `the snapshot holds users or settings of etcd's v2 API ` +
        `(${child.path}), which this release cannot keep`,
    );
  }
}

function readMembership(own: ReadNode): RowContents {
  const members: Member[] = [];
  const removed: MemberId[] = [];
  let version: ClusterVersion | undefined;
  for (const [name, node] of childrenOf(own)) {
    if (name === 'members') {
      for (const [id, child] of childrenOf(node)) members.push(readMemberNode(id, child));
    } else if (name === 'removed_members') {
      for (const [id, child] of childrenOf(node)) removed.push(parseId(id, child.path));
    } else if (name === 'version') {
      version = mustParseVersion(node.value, node.path);
    } else {
      throw unknownPath(node);
    }
  }
  return { members, removed, version, downgrade: NO_DOWNGRADE };
}

function readMemberNode(name: string, node: ReadNode): Member {
  let raftAttributes: ReturnType<typeof parseRaftAttributes> | undefined;
  let attributes = { name: '', clientURLs: [] } as ReturnType<typeof parseAttributes>;
  for (const [key, child] of childrenOf(node)) {
    if (key === 'raftAttributes') raftAttributes = parseRaftAttributes(child.value, child.path);
    else if (key === 'attributes') attributes = parseAttributes(child.value, child.path);
    else throw unknownPath(child);
  }
  if (raftAttributes === undefined) {
    throw new TetcdError(
      ERROR_CODES.MALFORMED,
      `v2 store of a snapshot: ${node.path} has no raftAttributes`,
    );
  }
  return { id: parseId(name, node.path), ...raftAttributes, ...attributes };
}

function childrenOf(node: ReadNode): ReadonlyMap<string, ReadNode> {
  return node.children ?? new Map();
}

function unknownPath(node: ReadNode): TetcdError {
  return new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    `the snapshot holds ${node.path}, which is not known to this release`,
  );
}
