// The oldest release that can read a log: the newest one that a message, field, enum or value in its
// entries is marked with; etcd calls it MinimalEtcdVersion.
//
// As there, the elements of a list are not looked at: what is within a transaction does not count.

import { ERROR_CODES, type Slices, TetcdError } from '../../base/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  parseTargetVersion,
  v2RequestIn,
} from '../../membership/index.ts';
import {
  etcdserverpb,
  type FieldInfo,
  type MessageInfo,
  type raftpb,
} from '../../protocol/index.ts';

const { InternalRaftRequestCodec } = etcdserverpb;

/** raftpb.EntryType. */
const ENTRY_CONF_CHANGE = 1;
const ENTRY_CONF_CHANGE_V2 = 2;

/** What etcd says of entries without marks of their own. */
const V3_0: ClusterVersion = { major: 3, minor: 0 };
const V3_4: ClusterVersion = { major: 3, minor: 4 };

type Message = Readonly<Record<string, unknown>>;

/** Resolves to undefined if no entry says anything. MALFORMED, naming the entry, if one cannot be read. */
export async function minimalVersionOf(
  entries: readonly raftpb.Entry[],
  slices: Slices,
): Promise<ClusterVersion | undefined> {
  let newest: ClusterVersion | undefined;
  for (const entry of entries) {
    newest = newerOf(newest, versionOfEntry(entry));
    if (slices.isOver) await slices.next();
  }
  return newest;
}

function versionOfEntry({ type, data, index }: raftpb.Entry): ClusterVersion | undefined {
  if (type === ENTRY_CONF_CHANGE) return V3_0;
  if (type === ENTRY_CONF_CHANGE_V2) return V3_4;
  // A bare v2 request of releases up to 3.4.
  if (data.length > 0 && v2RequestIn(data) !== undefined) return V3_0;
  const request = InternalRaftRequestCodec.decode(data);
  const marked = versionOfMessage(
    request as unknown as Message,
    InternalRaftRequestCodec.descriptor,
  );
  const { downgradeVersionTest } = request;
  if (downgradeVersionTest === undefined) return marked;
  const version = parseTargetVersion(downgradeVersionTest.ver);
  if (version !== undefined) return newerOf(marked, version);
  throw new TetcdError(
    ERROR_CODES.MALFORMED,
    `log entry ${index} names the version ${JSON.stringify(downgradeVersionTest.ver)}`,
  );
}

function versionOfMessage(message: Message, descriptor: MessageInfo): ClusterVersion | undefined {
  let newest = versionIn(descriptor.since);
  for (const field of descriptor.fields) {
    const value = populated(message, field);
    if (value === undefined) continue;
    newest = newerOf(newest, versionIn(field.since));
    if (field.repeated === true) continue;
    if (field.message !== undefined) {
      newest = newerOf(newest, versionOfMessage(value as Message, field.message));
    } else if (field.enum !== undefined) {
      newest = newerOf(newest, versionIn(field.enum.since));
      newest = newerOf(newest, versionIn(field.enum.sinceOf(value as number)));
    }
  }
  return newest;
}

/** The value of a field that is set; undefined for one that has its default. */
function populated(message: Message, { property, oneof, repeated }: FieldInfo): unknown {
  if (oneof !== undefined) {
    const chosen = message[oneof] as { readonly case: string; readonly value: unknown } | undefined;
    return chosen?.case === property ? chosen.value : undefined;
  }
  const value = message[property];
  if (repeated === true) return (value as readonly unknown[]).length > 0 ? value : undefined;
  if (value instanceof Uint8Array) return value.length > 0 ? value : undefined;
  // 0, 0n, '' and false are defaults.
  return value ? value : undefined;
}

function versionIn(text: string | undefined): ClusterVersion | undefined {
  return text === undefined ? undefined : parseTargetVersion(text);
}

function newerOf(
  a: ClusterVersion | undefined,
  b: ClusterVersion | undefined,
): ClusterVersion | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareVersions(a, b) >= 0 ? a : b;
}
