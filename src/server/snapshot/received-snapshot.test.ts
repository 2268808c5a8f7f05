// Whatever another member sends as its database and v2 store: either it is refused before raft hears
// of it, or it can be installed, and the member starts from it.

import { beforeAll, describe, expect, test } from 'vitest';
import { bytesFromLatin1, bytesFromUtf8, InvariantError, seededRandom } from '../../base/index.ts';
import { openDatabase, type WriteTransaction } from '../../bbolt/index.ts';
import { OPEN_MODES } from '../../env/index.ts';
import { type SimEnv, SimWorld } from '../../env/sim/index.ts';
import { emptyState, writeV2Store } from '../../membership/index.ts';
import { dataDirectoryOf } from '../../offline/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import { AlarmStore, META_KEY } from '../../store/index.ts';
import { uint64Bytes } from '../../store/schema/schema.ts';
import {
  openReceived,
  openStore,
  recoverCluster,
  type Store,
  type StoreOptions,
} from '../boot/store-opening.ts';
import { peerUrlOf, SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';
import { simConfig } from '../testing/sim-member.fixture.ts';
import { adoptSnapshot } from './snapshot-install.ts';

const CONFIG = simConfig();
const DIRECTORY = dataDirectoryOf(CONFIG);
const PAGE = 4096;

/** A database as a leader sends it, with rows in every bucket that members write. */
interface Sent {
  readonly database: Uint8Array;
  readonly snapshot: raftpb.Snapshot;
  readonly member: { readonly memberId: bigint; readonly clusterId: bigint };
}

let sent: Sent;

beforeAll(async () => {
  await SimCluster.run(async (cluster) => {
    const [host] = (await cluster.found(['m1'])) as [SimHost];
    const { member } = host.up;
    for (let i = 0; i < 60; i++) await host.up.put(`k${i % 25}`, 'v'.repeat(100 + i));
    const { id } = await member.parts.changes.add([peerUrlOf('x')], true);
    await member.parts.changes.add([peerUrlOf('y')], true);
    await member.parts.changes.remove(id);
    member.parts.store.machine.alarms.activate(member.memberId, 1);
    await member.parts.store.machine.backend.commit();
    const copy = await member.parts.store.machine.backend.openCopy();
    const pieces: Uint8Array[] = [];
    for await (const piece of copy.chunks()) pieces.push(piece.slice());
    copy.close();
    const { index, term, membership } = copy.durable;
    const { confState, cluster: state } = membership!;
    sent = {
      database: new Uint8Array(Buffer.concat(pieces)),
      snapshot: { data: writeV2Store(state), metadata: { index, term, confState } },
      member: { memberId: member.memberId, clusterId: member.clusterId },
    };
  });
});

/** `snapshot` takes the place of fields of what was sent. */
async function receive(
  database: Uint8Array,
  snapshot: Partial<raftpb.Snapshot> = {},
): Promise<string> {
  const world = new SimWorld({ seed: 1, autoRun: false });
  const env = world.machine('m');
  try {
    return await world.scheduler.run(() =>
      receiveOn(env, database, { ...sent.snapshot, ...snapshot }),
    );
  } finally {
    world.scheduler.stop();
  }
}

async function receiveOn(
  env: SimEnv,
  database: Uint8Array,
  snapshot: raftpb.Snapshot,
): Promise<string> {
  await env.disk.makeDirectory(DIRECTORY.snap);
  const path = `${DIRECTORY.snap}/${indexName(snapshot)}.snap.db`;
  const file = await env.disk.open(path, OPEN_MODES.CREATE);
  if (database.length > 0) await file.write([database], 0);
  await file.close();
  const options: StoreOptions = {
    config: CONFIG,
    env,
    onBackendFailure: (error) => expect.unreachable(String(error)),
    onBackendDiskFull: (error) => expect.unreachable(String(error)),
    onBackendCommit: () => undefined,
  };
  let received: Store;
  try {
    received = await openReceived(options, path, snapshot, sent.member);
  } catch (error) {
    expect(error).not.toBeInstanceOf(InvariantError);
    expect(env.disk.contentOf(path)).toEqual(database);
    return error instanceof Error ? error.message : String(error);
  }
  const { clusterId } = sent.member;
  const installing = {
    ...{ config: CONFIG, directory: DIRECTORY, clusterId },
    prepare: () => undefined,
  };
  const { store } = await adoptSnapshot(installing, snapshot, received);
  new AlarmStore(store.backend);
  await store.backend.close();
  const again = await openStore(options, DIRECTORY.database);
  const { index = 0, term = 0 } = snapshot.metadata!;
  const base = { index, term, v2: snapshot.data };
  recoverCluster(again.backend, base, [], { clusterId, maxLearners: 3 });
  expect(again.backend.appliedIndex).toBe(index);
  await again.backend.close();
  return 'taken';
}

function indexName({ metadata }: raftpb.Snapshot): string {
  return (metadata?.index ?? 0).toString(16).padStart(16, '0');
}

/** The database, changed by a writer of the format. */
async function changed(change: (tx: WriteTransaction) => void): Promise<Uint8Array> {
  const world = new SimWorld({ seed: 2, autoRun: false });
  const env = world.machine('m');
  try {
    return await world.scheduler.run(async () => {
      const file = await env.disk.open('/db', OPEN_MODES.CREATE);
      await file.write([sent.database], 0);
      await file.close();
      const database = await openDatabase(env, '/db');
      const tx = await database.beginWrite();
      change(tx);
      await tx.commit();
      await database.close();
      return env.disk.contentOf('/db').slice();
    });
  } finally {
    world.scheduler.stop();
  }
}

const bucketOf = (tx: WriteTransaction, name: string) =>
  tx.createBucketIfNotExists(bytesFromLatin1(name));

describe('what a leader sends', () => {
  test('is taken as it is', async () => {
    expect(await receive(sent.database)).toBe('taken');
  });

  test.each([
    ['no byte', () => new Uint8Array(0), /too short for a meta page/],
    ['zeros', () => new Uint8Array(sent.database.length), /meta|invalid/],
    ['an eighth page of zeros', () => new Uint8Array(8 * PAGE), /meta|invalid/],
    ['garbage', () => sent.database.map((_, i) => (i * 7919) >>> 3), /meta|invalid/],
  ])('is refused if it is %s', async (_what, make, text) => {
    expect(await receive(make())).toMatch(text);
  });

  test('is refused wherever it is cut off', { timeout: 60_000 }, async () => {
    const pages = Math.ceil(sent.database.length / PAGE);
    for (let page = 0; page < pages; page++) {
      for (const size of [page * PAGE, page * PAGE + 17]) {
        const outcome = await receive(sent.database.subarray(0, size));
        // The file may end with free pages.
        if (outcome === 'taken') expect(size).toBeGreaterThan(4 * PAGE);
        else expect(outcome).toMatch(DIRECTORY.snap);
      }
    }
  });

  test('is refused without its buckets, and with those of others', async () => {
    const empty = await changed((tx) => {
      for (const name of ['key', 'meta', 'members', 'members_removed', 'cluster', 'alarm', 'lease'])
        if (tx.bucket(bytesFromLatin1(name))) tx.deleteBucket(bytesFromLatin1(name));
    });
    expect(await receive(empty)).toMatch('is no database of a member');
    const foreign = await changed((tx) => tx.createBucket(bytesFromLatin1('mine')));
    expect(await receive(foreign)).toMatch('bucket "mine" of unknown meaning');
  });

  test('is refused at another index than the one it came with', async () => {
    const metadata = sent.snapshot.metadata!;
    for (const by of [-1, 1, 1000]) {
      const index = metadata.index + by;
      const outcome = await receive(sent.database, { metadata: { ...metadata, index } });
      expect(outcome).toMatch(`is at index ${metadata.index}`);
    }
  });

  test('of a release that does not write the index each time may be older', async () => {
    const old = await changed((tx) => {
      const meta = bucketOf(tx, 'meta');
      for (const key of [META_KEY.TERM, META_KEY.CONF_STATE, META_KEY.STORAGE_VERSION])
        meta.delete(bytesFromLatin1(key));
    });
    const metadata = { ...sent.snapshot.metadata!, index: sent.snapshot.metadata!.index + 3 };
    expect(await receive(old, { metadata })).toBe('taken');
  });

  test.each([
    ['members', 'xyz', '{}'],
    ['members', '1', '{"id":2,"peerURLs":["http://a:1"]}'],
    ['members', '1', '{"id":1'],
    ['members_removed', 'none', 'removed'],
    ['cluster', 'clusterVersion', 'three'],
    ['cluster', 'downgrade', '{"enabled":7}'],
    ['cluster', 'other', 'x'],
    ['lease', '12345678', 'no lease'],
    ['lease', '1234', ''],
    ['alarm', 'no alarm', ''],
    ['key', 'no revision', ''],
    ['meta', 'consistent_index', 'abc'],
    ['auth', 'authRevision', 'abc'],
    ['authUsers', 'alice', 'no user'],
    ['authRoles', 'reader', '\n\x05other'],
    ['meta', 'scheduledCompactRev', 'abc'],
    ['meta', 'finishedCompactRev', '\xff\xff\xff\xff\xff\xff\xff\xff_00000000'],
  ])('is refused with a row of %s/%s that cannot be read', async (bucket, key, value) => {
    const bad = await changed((tx) =>
      bucketOf(tx, bucket).put(bytesFromLatin1(key), bytesFromLatin1(value)),
    );
    const outcome = await receive(bad);
    expect(outcome).not.toBe('taken');
    expect(outcome).toMatch(`${DIRECTORY.snap}/`);
    expect(outcome).toMatch(/: page \d+ \(offset \d+\): bucket /);
    expect(outcome).toMatch(`bucket ${bucket}, key `);
  });

  test('is refused with rows whose revisions cannot be counted on', async () => {
    const row = bytesFromLatin1('\n\x01a');
    for (const [main, sub, mark] of [
      [2 ** 53 - 1, 0, ''],
      [2 ** 52, 0, ''],
      [50, 2 ** 31, ''],
      // Put and tombstone at once.
      [50, 0, 't'],
    ] as const) {
      const key = Buffer.concat([uint64Bytes(main), bytesFromLatin1('_'), uint64Bytes(sub)]);
      const bad = await changed((tx) => {
        bucketOf(tx, 'key').put(key, row);
        if (mark !== '') bucketOf(tx, 'key').put(Buffer.concat([key, bytesFromLatin1(mark)]), row);
      });
      expect(await receive(bad)).toMatch(/page \d+ .*: bucket key, key /);
    }
  });

  test('is refused if it says that this member was removed', async () => {
    const { memberId } = sent.member;
    const id = bytesFromLatin1(memberId.toString(16));
    const both = await changed((tx) => bucketOf(tx, 'members_removed').put(id, id));
    expect(await receive(both)).toMatch('is a member and was removed');
    const removed = await changed((tx) => {
      bucketOf(tx, 'members').delete(id);
      bucketOf(tx, 'members_removed').put(id, id);
    });
    expect(await receive(removed)).toMatch('permanently removed');
  });
});

describe('the v2 store beside it', () => {
  test('is refused if it cannot be read', async () => {
    const { data } = sent.snapshot;
    for (let size = 0; size < data.length; size += 1999) {
      expect(await receive(sent.database, { data: data.subarray(0, size) })).toMatch('v2 store');
    }
    const foreign = writeV2Store(emptyState(0));
    const text = new TextDecoder().decode(foreign).replace('"/1"', '"/3"').replace('"1":', '"3":');
    expect(await receive(sent.database, { data: bytesFromUtf8(text) })).toMatch('/3');
    expect(await receive(sent.database, { data: new Uint8Array(100) })).toMatch('v2 store');
  });
});

test('bytes that were changed are refused or served', { timeout: 120_000 }, async () => {
  const seed = Number(process.env['RECEIVED_SEED'] ?? 1);
  const random = seededRandom(seed);
  const outcomes = new Set<string>();
  for (let round = 0; round < 16; round++) {
    const bad = sent.database.slice();
    for (let i = 0; i < 1 + random.below(4); i++) {
      // Not in the free space of a page only: mostly near its beginning or its end.
      const page = random.below(Math.ceil(bad.length / PAGE));
      const within = random.below(2) === 0 ? random.below(120) : random.below(PAGE);
      const at = Math.min(bad.length - 1, page * PAGE + within);
      bad[at] = random.below(256);
    }
    const outcome = await receive(bad).catch((error: unknown) => {
      throw new Error(`RECEIVED_SEED=${seed}, round ${round}: ${String(error)}`, { cause: error });
    });
    outcomes.add(outcome === 'taken' ? 'taken' : 'refused');
  }
  expect([...outcomes].sort()).toEqual(['refused', 'taken']);
});
