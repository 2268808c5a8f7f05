// `dump`: what is in a log, a `.snap` file or a database, one record after the other.

import {
  bytesFromLatin1,
  ERROR_CODES,
  hasCode,
  latin1FromBytes,
  TetcdError,
  uint64At,
  utf8FromBytes,
} from '../base/index.ts';
import { readV2Store, v2RequestIn } from '../membership/index.ts';
import { isTombstoneKey, mainOfKey, REVISION_KEY_BYTES, subOfKey } from '../mvcc/index.ts';
import { authpb, etcdserverpb, jsonFromWire, leasepb, mvccpb, raftpb } from '../protocol/index.ts';
import { BUCKET, BUCKET_NAMES, CommittedView, META_KEY } from '../store/index.ts';
import { readSnapFile, readWal, summarizeWal } from '../wal/index.ts';
import { type LockOptions, readingDatabase } from './database-file.ts';
import { bytesText, messageText } from './message-text.ts';
import type { OfflineEnv } from './types.ts';

/** Of a count in the meta bucket. */
const COUNT_BYTES = 8;
/** raftpb.EntryType. */
const ENTRY_CONF_CHANGE = 1;
const ENTRY_CONF_CHANGE_V2 = 2;

/** One entry of a log. */
interface DumpedEntry {
  readonly index: number;
  readonly term: number;
  /** `none` for an empty entry, `confChange`, `v2`, or the name of the request: `put`, `txn` … */
  readonly kind: string;
  /** For people, in one line. */
  readonly text: string;
  /** The same as JSON, in the form of the API; secrets are in it. */
  readonly json: string;
  /** Whether the newest hard state says that it is committed. */
  readonly isCommitted: boolean;
}

/**
 * The entries of the log, from the first one that it still has. Changes nothing. NOT_FOUND, CORRUPT or
 * DISK_FAILED, naming file and offset.
 */
export async function dumpLog(env: OfflineEnv, wal: string): Promise<DumpedEntry[]> {
  const { hardState } = await summarizeWal(env, wal);
  const entries = await entriesOf(env, wal);
  return entries.map((entry) => ({
    ...{ index: entry.index, term: entry.term, isCommitted: entry.index <= hardState.commit },
    ...contentOf(entry),
  }));
}

/** After the oldest snapshot from which the log can be read. */
async function entriesOf(env: OfflineEnv, wal: string): Promise<readonly raftpb.Entry[]> {
  const { validSnapshots } = await summarizeWal(env, wal);
  let failure: unknown;
  for (const { index, term } of [{ index: 0, term: 0 }, ...validSnapshots]) {
    try {
      return (await readWal(env, wal, { index, term })).entries;
    } catch (error) {
      // Segments before it were removed, or a snapshot took the place of entries before it.
      if (!hasCode(error, ERROR_CODES.NOT_FOUND) && !hasCode(error, ERROR_CODES.CORRUPT))
        throw error;
      failure ??= error;
    }
  }
  throw failure;
}

type Content = Pick<DumpedEntry, 'kind' | 'text' | 'json'>;

function contentOf({ type, data }: raftpb.Entry): Content {
  if (data.length === 0) return { kind: 'none', text: '', json: '{}' };
  if (type === ENTRY_CONF_CHANGE) {
    return described('confChange', raftpb.ConfChangeCodec, data);
  }
  if (type === ENTRY_CONF_CHANGE_V2) {
    return described('confChangeV2', raftpb.ConfChangeV2Codec, data);
  }
  const v2 = v2RequestIn(data);
  if (v2 !== undefined) {
    return described('v2', etcdserverpb.RequestCodec, data);
  }
  const { descriptor } = etcdserverpb.InternalRaftRequestCodec;
  const request = etcdserverpb.InternalRaftRequestCodec.decode(data) as unknown as object;
  const values = request as Readonly<Record<string, unknown>>;
  const operation = descriptor.fields.find(
    ({ name, property }) => name !== 'header' && name !== 'ID' && values[property] !== undefined,
  );
  return {
    kind: operation?.name ?? 'none',
    text: messageText(descriptor, request),
    json: jsonFromWire(descriptor, data),
  };
}

interface AnyCodec {
  readonly descriptor: Parameters<typeof messageText>[0];
  decode(bytes: Uint8Array): object;
}

function described(kind: string, codec: AnyCodec, data: Uint8Array): Content {
  return {
    kind,
    text: messageText(codec.descriptor, codec.decode(data)),
    json: jsonFromWire(codec.descriptor, data),
  };
}

/** A `.snap` file: where it stands in the log, and the members that it names. */
interface DumpedSnapshot {
  readonly index: number;
  readonly term: number;
  readonly voters: readonly bigint[];
  readonly learners: readonly bigint[];
  readonly members: ReturnType<typeof readV2Store>['members'];
  readonly removed: readonly bigint[];
}

/** NOT_FOUND, CORRUPT, MALFORMED or UNSUPPORTED, naming the file. */
export async function dumpSnapshot(env: OfflineEnv, path: string): Promise<DumpedSnapshot> {
  const { data, metadata } = await readSnapFile(env.disk, path);
  const { members, removed } = readV2Store(data);
  const { voters = [], learners = [] } = metadata?.confState ?? {};
  return {
    ...{ index: metadata?.index ?? 0, term: metadata?.term ?? 0 },
    ...{ voters, learners, members, removed },
  };
}

/** One row of a database. */
interface DumpedRow {
  readonly bucket: string;
  /** A revision, as `5.0` or `5.0t` for a tombstone, in the key bucket; else the key. */
  readonly key: string;
  readonly text: string;
}

interface DumpDatabaseOptions extends LockOptions {
  /** Only this bucket. */
  readonly bucket?: string;
  /** Only rows of keys that begin so, in the key bucket. */
  readonly prefix?: string;
}

/**
 * Hands the rows to `take`, bucket after bucket, in the order of the file. INVALID_ARGUMENT for a bucket that
 * the file does not have; errors of {@link readingDatabase}.
 */
export function dumpDatabase(
  env: OfflineEnv,
  path: string,
  options: DumpDatabaseOptions,
  take: (row: DumpedRow) => void,
): Promise<void> {
  return readingDatabase(env, path, options, async (database) => {
    const transaction = database.beginRead();
    try {
      const names = new CommittedView(transaction).bucketNames();
      for (const bucket of chosen(names, path, options)) {
        await transaction.walk(bytesFromLatin1(bucket), {
          entry: (bytes, keyOffset, keyLength, valueOffset, valueLength) => {
            const key = bytes.slice(keyOffset, keyOffset + keyLength);
            const value = bytes.slice(valueOffset, valueOffset + valueLength);
            const row = rowOf(bucket, key, value, options.prefix ?? '');
            if (row !== undefined) take(row);
            return true;
          },
        });
      }
    } finally {
      transaction.close();
    }
  });
}

function chosen(
  names: readonly string[],
  path: string,
  { bucket }: DumpDatabaseOptions,
): readonly string[] {
  if (bucket === undefined || bucket === '') return names;
  if (names.includes(bucket)) return [bucket];
  const text = `${path} has no bucket ${JSON.stringify(bucket)}; it has ${names.join(', ')}`;
  throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
}

function rowOf(
  bucket: string,
  key: Uint8Array,
  value: Uint8Array,
  prefix: string,
): DumpedRow | undefined {
  if (bucket !== BUCKET_NAMES[BUCKET.KEY]) {
    return { bucket, key: bytesText(key), text: valueText(bucket, key, value) };
  }
  const pair = mvccpb.KeyValueCodec.decode(value);
  if (!utf8FromBytes(pair.key).startsWith(prefix)) return undefined;
  const mark = isTombstoneKey(key.length) ? 't' : '';
  const revision = `${mainOfKey(key)}.${subOfKey(key)}${mark}`;
  return { bucket, key: revision, text: messageText(mvccpb.KeyValueCodec.descriptor, pair) };
}

/** Values of the small buckets, by what each of them holds. */
function valueText(bucket: string, key: Uint8Array, value: Uint8Array): string {
  const decoded = (codec: AnyCodec) => messageText(codec.descriptor, codec.decode(value));
  switch (bucket) {
    case BUCKET_NAMES[BUCKET.META]:
      return metaText(latin1FromBytes(key), value);
    case BUCKET_NAMES[BUCKET.LEASE]:
      return decoded(leasepb.LeaseCodec);
    case BUCKET_NAMES[BUCKET.AUTH_USERS]:
      return decoded(authpb.UserCodec);
    case BUCKET_NAMES[BUCKET.AUTH_ROLES]:
      return decoded(authpb.RoleCodec);
    default:
      return jsonText(value) ?? bytesText(value);
  }
}

/** Text in braces as it stands; undefined for others. */
function jsonText(value: Uint8Array): string | undefined {
  const text = utf8FromBytes(value);
  return /^\{[^\n]*\}$/.test(text) ? text : undefined;
}

function metaText(key: string, value: Uint8Array): string {
  const isCount = key === META_KEY.CONSISTENT_INDEX || key === META_KEY.TERM;
  if (isCount && value.length === COUNT_BYTES) return String(uint64At(value, 0));
  const isRevision = key === META_KEY.SCHEDULED_COMPACT || key === META_KEY.FINISHED_COMPACT;
  if (isRevision && value.length === REVISION_KEY_BYTES) return String(mainOfKey(value));
  return jsonText(value) ?? bytesText(value);
}
