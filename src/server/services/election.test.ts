// Elections in a simulated cluster: candidates that are lost, and observers.

import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes, seededRandom } from '../../base/index.ts';
import { EMPTY_METADATA, STATUS } from '../../grpc/index.ts';
import { v3electionpb } from '../../protocol/index.ts';
import { call, open } from '../testing/local-client.fixture.ts';
import { SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';

const { campaign, proclaim, resign, observe } = v3electionpb.ElectionService.methods;

const NAME = bytesFromLatin1('e');

async function win(host: SimHost, lease: bigint, value: string): Promise<v3electionpb.LeaderKey> {
  const answer = await call(host.up.member, campaign, {
    ...{ name: NAME, lease },
    value: bytesFromLatin1(value),
  });
  if (!('leader' in answer) || answer.leader === undefined) throw new Error(`lost: ${answer}`);
  return answer.leader;
}

const valuesOf = ({ received }: { readonly received: readonly v3electionpb.LeaderResponse[] }) =>
  received.map(({ kv }) => latin1FromBytes(kv!.value));

const single = (body: (cluster: SimCluster, host: SimHost) => Promise<void>): Promise<void> =>
  SimCluster.run(async (cluster) => {
    const [host] = (await cluster.found(['m1'])) as [SimHost];
    await host.up.grant(1n, 600);
    await host.up.grant(2n, 600);
    await body(cluster, host);
  });

describe('a candidate', () => {
  test('whose lease ends while it waits hears of it at once, and never leads', () =>
    single(async (cluster, host) => {
      await win(host, 1n, 'one');
      const waiting = call(host.up.member, campaign, { name: NAME, lease: 2n });
      await cluster.until('it waits', () => host.up.pairs().length === 2);
      await host.up.revoke(2n);
      expect(await waiting).toEqual([STATUS.UNKNOWN, 'election: not leader']);
      expect(host.up.pairs().map(({ key }) => key)).toEqual(['e/1']);
    }));

  test('that gives up leaves the queue; one that leads already stays', () =>
    single(async (cluster, host) => {
      await win(host, 1n, 'one');
      const abort = new AbortController();
      const { signal } = abort;
      const request = { name: NAME, lease: 2n };
      const waiting = call(host.up.member, campaign, request, { signal });
      await cluster.until('it waits', () => host.up.pairs().length === 2);
      abort.abort();
      expect(await waiting).toEqual([STATUS.CANCELED, 'context canceled']);
      const again = { name: NAME, lease: 1n, value: bytesFromLatin1('one') };
      expect(await call(host.up.member, campaign, again, { signal })).toEqual(await waiting);
      await cluster.until('its key is gone', () => host.up.pairs().length === 1);
      await cluster.sleep(100);
      expect(host.up.pairs().map(({ key }) => key)).toEqual(['e/1']);
    }));
});

describe('an observer', () => {
  test('is told of every leader, and of the newest value, whatever is compacted', () =>
    single(async (cluster, host) => {
      const random = seededRandom(7);
      const observer = open(host.up.member, observe, { name: NAME });
      let last = '';
      for (let term = 0; term < 20; term++) {
        const leader = await win(host, 1n + BigInt(term % 2), `${term}.0`);
        const changes = random.below(4);
        for (let i = 1; i <= changes; i++) {
          const value = bytesFromLatin1(`${term}.${i}`);
          await call(host.up.member, proclaim, { leader, value });
          if (random.below(3) === 0) await host.up.compact(host.up.revision);
        }
        last = `${term}.${changes}`;
        await cluster.until('the newest value', () => valuesOf(observer).at(-1) === last);
        await call(host.up.member, resign, { leader });
      }
      const terms = valuesOf(observer).map((value) => value.split('.').map(Number));
      for (const [i, [term, change]] of terms.slice(1).entries()) {
        const [termBefore, changeBefore] = terms[i]!;
        expect(term! * 10 + change!).toBeGreaterThan(termBefore! * 10 + changeBefore!);
      }
      expect(new Set(terms.map(([term]) => term)).size).toBe(20);
      for (const { header, kv } of observer.received) {
        expect(header!.revision).toBeGreaterThanOrEqual(kv!.modRevision);
      }
    }));

  test('that reads nothing costs no more than a bound, and goes on where it stopped', () =>
    single(async (cluster, host) => {
      const observer = open(host.up.member, observe, { name: NAME });
      const leader = await win(host, 1n, '');
      await cluster.until('the first value', () => observer.received.length === 1);
      observer.stream.pause();
      for (let i = 0; i < 40; i++) {
        const value = new Uint8Array(1_000_000).fill(i);
        await call(host.up.member, proclaim, { leader, value });
      }
      await cluster.sleep(1000);
      expect(observer.received).toHaveLength(1);
      observer.stream.resume();
      await cluster.until('all values', () => observer.received.length === 41);
      expect(observer.end).toBeUndefined();
      observer.stream.cancel();
      await cluster.sleep(10);
      expect(host.up.member.parts.metrics.mvcc.watchStreams.value).toBe(0);
    }));

  test('that demands a leader is let go where there is none; another one stays', () =>
    SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(['m1', 'm2', 'm3']);
      const { leader, followers } = await cluster.leaderOf(hosts);
      await leader.up.put('e/1', 'one');
      const metadata = {
        ...EMPTY_METADATA,
        get: (name: string) => (name === 'hasleader' ? 'true' : undefined),
      };
      const { member } = followers[0]!.up;
      const demanding = open(member, observe, { name: NAME }, { metadata });
      const patient = open(member, observe, { name: NAME });
      await cluster.until('both see it', () =>
        [demanding, patient].every(({ received }) => received.length === 1),
      );
      for (const host of hosts) cluster.cutOff(host.name);
      await cluster.until('it is let go', () => demanding.end !== undefined);
      expect(demanding.end).toEqual([STATUS.UNAVAILABLE, 'etcdserver: no leader']);
      await cluster.sleep(5000);
      expect(patient.end).toBeUndefined();
    }));
});
