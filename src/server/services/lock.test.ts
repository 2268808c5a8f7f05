// Locks, most of them in a simulated cluster: never two holders, and nobody waits for what is free.

import { afterEach, describe, expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes, type Random, seededRandom } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { EMPTY_METADATA, type Metadata, STATUS } from '../../grpc/index.ts';
import { etcdserverpb, v3lockpb } from '../../protocol/index.ts';
import { LocalCalls, ServiceTable } from '../../rpc/index.ts';
import { CONTEXT, call } from '../testing/local-client.fixture.ts';
import { SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';
import { CallerClient } from './caller-client.ts';
import { registerLockService } from './lock.ts';

const { lock, unlock } = v3lockpb.LockService.methods;

const { KVService, DeleteRangeResponseCodec } = etcdserverpb;

const NAME = bytesFromLatin1('the lock');
const ROUNDS = 12;
const CONTENDERS = 6;
/** Simulated time after which whoever waits will wait for ever; all are through in a tenth of it. */
const STUCK_MS = 15_000;

const restoring: (() => void)[] = [];
afterEach(() => {
  for (const restore of restoring.splice(0).reverse()) restore();
});

interface Run {
  readonly cluster: SimCluster;
  readonly hosts: readonly SimHost[];
  readonly random: Random;
  /** Who has the lock, as far as clients know. */
  holder: bigint | undefined;
  held: number;
  lost: number;
}

/** Takes the lock again and again; some give up, some let their lease end while they wait. */
async function contend(run: Run, id: bigint): Promise<void> {
  const { cluster, hosts, random } = run;
  for (let round = 0; round < ROUNDS; round++) {
    const { up } = hosts[random.below(hosts.length)]!;
    const lease = id * 1000n + BigInt(round);
    await up.grant(lease, 600);
    const end = (id: bigint) => up.revoke(id).catch(() => undefined);
    const abort = new AbortController();
    const fate = random.below(5);
    if (fate === 0) void cluster.sleep(random.below(40)).then(() => abort.abort());
    if (fate === 1) void cluster.sleep(random.below(40)).then(() => end(lease));
    const loses = fate === 1;
    const request = { name: NAME, lease };
    const answer = await call(up.member, lock, request, { signal: abort.signal });
    if (!('key' in answer)) {
      expect([
        [STATUS.CANCELED, 'context canceled'],
        [STATUS.UNKNOWN, 'mutex: session is expired'],
        [STATUS.UNKNOWN, 'etcdserver: requested lease not found'],
      ]).toContainEqual(answer);
      run.lost++;
      continue;
    }
    if (!loses) expect(run.holder).toBeUndefined();
    expect(latin1FromBytes(answer.key)).toBe(`the lock/${lease.toString(16)}`);
    run.held++;
    if (!loses) {
      run.holder = lease;
      await cluster.sleep(random.below(3));
      expect(run.holder).toBe(lease);
      run.holder = undefined;
    }
    if (random.below(4) === 0) await end(lease);
    else await call(up.member, unlock, { key: answer.key });
  }
}

/** Answers of looks come late, so that keys are deleted between a look and the watch after it. */
function delayLooks({ cluster, random }: Run): void {
  const { range } = CallerClient.prototype;
  restoring.push(() => {
    CallerClient.prototype.range = range;
  });
  CallerClient.prototype.range = async function (this: CallerClient, request) {
    const answer = await range.call(this, request);
    await cluster.sleep(random.below(8));
    return answer;
  };
}

/** Resolves when all contenders are through; rejects when they are stuck. */
async function contention(seed: number): Promise<void> {
  await SimCluster.run(async (cluster) => {
    const hosts = await cluster.found(['m1', 'm2', 'm3']);
    const run: Run = {
      ...{ cluster, hosts, random: seededRandom(seed) },
      ...{ holder: undefined, held: 0, lost: 0 },
    };
    delayLooks(run);
    let through = 0;
    let failure: unknown;
    for (let i = 1; i <= CONTENDERS; i++) {
      void contend(run, BigInt(i)).then(
        () => through++,
        (error: unknown) => {
          failure = error;
        },
      );
    }
    const compact = async (): Promise<void> => {
      while (through < CONTENDERS && failure === undefined) {
        await cluster.sleep(20);
        const { up } = hosts[0]!;
        await up.compact(up.revision).catch(() => undefined);
      }
    };
    const compacting = compact();
    await cluster.until(
      'every contender is through',
      () => {
        if (failure !== undefined) throw failure;
        return through === CONTENDERS;
      },
      STUCK_MS,
    );
    await compacting;
    expect(run.held + run.lost).toBe(CONTENDERS * ROUNDS);
    expect(run.lost).toBeGreaterThan(0);
    expect(run.held).toBeGreaterThan(CONTENDERS);
    await cluster.even(hosts);
    expect(hosts[0]!.up.pairs()).toEqual([]);
  }, seed);
}

test('what a lock does is done in the name of who asks for it', async () => {
  const seen: unknown[] = [];
  const table = new ServiceTable([
    ({ path, peer, metadata, caller }) => {
      seen.push([path, peer.address, metadata.get('token'), caller?.username]);
      return undefined;
    },
  ]);
  const env = createSimEnv({ seed: 1 });
  const localCalls = new LocalCalls({ table, env, onHandlerError: () => undefined });
  registerLockService(table, { localCalls });
  table.unary(KVService.methods.deleteRange, (inner) =>
    inner.reply(DeleteRangeResponseCodec, DeleteRangeResponseCodec.create()),
  );
  const metadata: Metadata = { ...EMPTY_METADATA, get: (name) => `a ${name}` };
  const caller = { username: 'ann', authRevision: 1 };
  await localCalls.unary(unlock.path, unlock.request.encode({ key: NAME }), {
    ...CONTEXT,
    metadata,
    caller,
  });
  const as = ['in process', 'a token', 'ann'];
  expect(seen).toEqual([
    [unlock.path, ...as],
    [KVService.methods.deleteRange.path, ...as],
  ]);
});

describe('contenders for a lock', () => {
  test.each([1, 2, 3, 4])('have it one after the other (seed %i)', (seed) => contention(seed));

  test('that watch from now on and not from their look are found stuck', async () => {
    const { watch } = CallerClient.prototype;
    restoring.push(() => {
      CallerClient.prototype.watch = watch;
    });
    CallerClient.prototype.watch = function (this: CallerClient, requests, ...rest) {
      const late = requests.map((request: etcdserverpb.WatchCreateRequestInit) => ({
        ...request,
        startRevision: 0,
      }));
      return watch.call(this, late, ...rest);
    };
    await expect(contention(1)).rejects.toThrow('every contender is through: not within');
  });
});
