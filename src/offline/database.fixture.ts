// Database files of a member, made without one.

import { createHash } from 'node:crypto';
import { bytesFromLatin1, bytesFromUtf8 } from '../base/index.ts';
import { openDatabase } from '../bbolt/index.ts';
import { OPEN_MODES } from '../env/index.ts';
import { createSimEnv, type SimDisk } from '../env/sim/index.ts';
import { revisionKey } from '../mvcc/index.ts';
import { mvccpb } from '../protocol/index.ts';
import { BUCKET_NAMES, META_KEY, uint64Bytes } from '../store/index.ts';
import type { OfflineEnv } from './types.ts';

/** Time that nothing reads, around a disk. */
export function envOf(disk: SimDisk): OfflineEnv {
  const { clock, timers } = createSimEnv({ seed: 1 });
  return { clock, timers, disk };
}

/** A file with `count` keys, written one revision each from 2 on, as of entry 100 in term 7. */
export async function writeDatabase(env: OfflineEnv, path: string, count: number): Promise<void> {
  const database = await openDatabase(env, path);
  const transaction = await database.beginWrite();
  for (const name of BUCKET_NAMES) transaction.createBucket(bytesFromLatin1(name));
  const rows = transaction.bucket(bytesFromLatin1('key'))!;
  for (let i = 0; i < count; i++) {
    const [createRevision, modRevision] = [i + 2, i + 2];
    const [key, value] = [bytesFromUtf8(`key ${i}`), bytesFromUtf8('v'.repeat(i))];
    const fields = { key, value, createRevision, modRevision, version: 1 };
    const row = mvccpb.KeyValueCodec.encode(mvccpb.KeyValueCodec.create(fields));
    rows.put(revisionKey(modRevision, 0), row);
  }
  const meta = transaction.bucket(bytesFromLatin1('meta'))!;
  const set = (key: string, bytes: Uint8Array) => meta.put(bytesFromLatin1(key), bytes);
  set(META_KEY.CONSISTENT_INDEX, uint64Bytes(100));
  set(META_KEY.TERM, uint64Bytes(7));
  set(META_KEY.STORAGE_VERSION, bytesFromUtf8('3.7.0'));
  const members = transaction.bucket(bytesFromLatin1('members'))!;
  members.put(bytesFromLatin1('1'), bytesFromUtf8('{"id":1,"peerURLs":["http://a:1"]}'));
  const removed = transaction.bucket(bytesFromLatin1('members_removed'))!;
  removed.put(bytesFromLatin1('2'), bytesFromUtf8('removed'));
  await transaction.commit();
  await database.close();
}

/** The bytes of a database file with their checksum behind them, as another file. */
export async function writeSnapshot(env: OfflineEnv, from: string, to: string): Promise<void> {
  const bytes = await readAll(env, from);
  await writeAll(env, to, Buffer.concat([bytes, createHash('sha256').update(bytes).digest()]));
}

export async function readAll({ disk }: OfflineEnv, path: string): Promise<Uint8Array> {
  const file = await disk.open(path, OPEN_MODES.READ);
  const bytes = new Uint8Array(file.size());
  await file.read(bytes, 0);
  await file.close();
  return bytes;
}

export async function writeAll(env: OfflineEnv, path: string, bytes: Uint8Array): Promise<void> {
  const file = await env.disk.open(path, OPEN_MODES.OPEN_OR_CREATE);
  await file.truncate(0);
  await file.write([bytes], 0);
  await file.sync();
  await file.close();
}
