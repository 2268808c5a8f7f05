// Automatic compaction in simulated time: the decisions beside etcd's rules, then whole members.

import { describe, expect, test } from 'vitest';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { Proposal } from '../consensus/proposals.ts';
import type { LogFields, Logger } from '../telemetry/log.ts';
import { SimCluster } from '../testing/sim-cluster.fixture.ts';
import { SimMember, simConfig } from '../testing/sim-member.fixture.ts';
import { AutoCompaction, type AutoCompactionParts } from './auto-compaction.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The duty alone, of a store whose revision the test sets. */
class Rig {
  readonly compacted: number[] = [];
  readonly log: string[] = [];
  readonly raft = { leads: true };
  revision = 1;
  answer: EtcdErrorName | undefined = undefined;
  readonly #env: SimEnv;
  readonly #duty: AutoCompaction;

  constructor(env: SimEnv, autoCompaction: ServerConfig['autoCompaction']) {
    this.#env = env;
    const rig = this;
    const note = (msg: string, fields?: LogFields) => {
      this.log.push(`${msg} ${JSON.stringify(fields)}`);
    };
    const store = {
      get machine() {
        return { kv: { currentRev: rig.revision } };
      },
    };
    const propose = (...args: readonly unknown[]) => this.#propose(...args);
    this.#duty = new AutoCompaction({
      config: { autoCompaction },
      env,
      log: { info: note, warn: note } as unknown as Logger,
      raft: this.raft,
      proposals: { propose },
      store,
    } as unknown as AutoCompactionParts);
    this.#duty.start();
  }

  #propose(...args: readonly unknown[]): void {
    const [body, proposal] = [args[2] as Uint8Array, args.at(-1) as Proposal];
    const { revision } = etcdserverpb.CompactionRequestCodec.decode(body);
    if (this.answer !== undefined) {
      proposal.fail(this.answer);
      return;
    }
    this.compacted.push(revision);
    proposal.complete({ kind: 'compaction' } as never);
  }

  /** So many intervals pass; the revision is set at the beginning of each. */
  async pass(intervals: number, intervalMs: number, puts: number): Promise<void> {
    for (let i = 0; i < intervals; i++) {
      await new Promise<void>((resolve) => this.#env.timers.after(intervalMs, resolve));
      this.revision += puts;
    }
  }

  stop(): void {
    this.#duty.stop();
  }
}

async function on(
  autoCompaction: ServerConfig['autoCompaction'],
  body: (rig: Rig) => Promise<void>,
): Promise<void> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const rig = new Rig(env, autoCompaction);
    await body(rig);
    rig.stop();
  });
}

const periodic = (retention: number) => ({ mode: 'periodic', retention }) as const;

describe('by time', () => {
  test('an hour: after the first one, then hourly, at the revision of an hour ago', async () => {
    await on(periodic(HOUR), async (rig) => {
      await rig.pass(9, 6 * MINUTE, 1);
      expect(rig.compacted).toEqual([]);
      await rig.pass(2, 6 * MINUTE, 1);
      const [first] = rig.compacted;
      expect(rig.compacted.length).toBe(1);
      expect(first).toBeLessThanOrEqual(2);
      await rig.pass(8, 6 * MINUTE, 1);
      expect(rig.compacted.length).toBe(1);
      await rig.pass(2, 6 * MINUTE, 1);
      expect(rig.compacted.length).toBe(2);
      expect(rig.compacted[1]! - first!).toBeGreaterThanOrEqual(8);
      expect(rig.compacted[1]! - first!).toBeLessThanOrEqual(10);
      expect(rig.revision - rig.compacted[1]!).toBeGreaterThanOrEqual(10);
    });
  });

  test('five hours: five hours pass first, then it is hourly', async () => {
    await on(periodic(5 * HOUR), async (rig) => {
      await rig.pass(49, 6 * MINUTE, 1);
      expect(rig.compacted).toEqual([]);
      await rig.pass(2, 6 * MINUTE, 1);
      expect(rig.compacted.length).toBe(1);
      await rig.pass(22, 6 * MINUTE, 1);
      expect(rig.compacted.length).toBe(3);
      expect(rig.revision - rig.compacted[2]!).toBeGreaterThanOrEqual(50);
    });
  });

  test('five minutes: every five minutes', async () => {
    await on(periodic(5 * MINUTE), async (rig) => {
      await rig.pass(33, 0.5 * MINUTE, 1);
      expect(rig.compacted.length).toBe(3);
    });
  });

  test('nothing new is nothing to do', async () => {
    await on(periodic(HOUR), async (rig) => {
      await rig.pass(40, 6 * MINUTE, 0);
      expect(rig.compacted).toEqual([1]);
    });
  });

  test('it fails: it is tried again at the next interval, and the log says both', async () => {
    await on(periodic(HOUR), async (rig) => {
      rig.answer = 'TIMEOUT';
      await rig.pass(13, 6 * MINUTE, 1);
      expect(rig.log.length).toBeGreaterThan(3);
      expect(rig.log.slice(0, 2)).toEqual([
        expect.stringMatching(
          /^starting auto periodic compaction {"revision":\d,"compact-period":"1h0m0s"}$/,
        ),
        expect.stringMatching(
          /^failed auto periodic compaction .*"1h0m0s","retry-interval":"6m0s","error":"etcdserver: request timed out"}$/,
        ),
      ]);
      rig.answer = undefined;
      await rig.pass(1, 6 * MINUTE, 1);
      expect(rig.compacted.length).toBe(1);
      expect(rig.log.at(-1)).toMatch(
        /^completed auto periodic compaction {"revision":\d+,"compact-period":"1h0m0s","took":"0s"}$/,
      );
    });
  });

  test('what is compacted already counts as done', async () => {
    await on(periodic(HOUR), async (rig) => {
      rig.answer = 'COMPACTED';
      await rig.pass(12, 6 * MINUTE, 1);
      expect(rig.log.map((line) => line.split(' ')[0])).toEqual(['starting', 'completed']);
    });
  });

  test('a member that does not lead takes note of revisions only', async () => {
    await on(periodic(HOUR), async (rig) => {
      rig.raft.leads = false;
      await rig.pass(30, 6 * MINUTE, 1);
      expect([rig.compacted, rig.log]).toEqual([[], []]);
      rig.raft.leads = true;
      await rig.pass(1, 6 * MINUTE, 1);
      expect(rig.compacted.length).toBe(1);
      expect(rig.compacted[0]).toBeGreaterThan(19);
    });
  });
});

describe('by revisions', () => {
  test('every five minutes, what is further back than so many', async () => {
    await on({ mode: 'revision', retention: 10 }, async (rig) => {
      await rig.pass(1, 5 * MINUTE + 1, 100);
      // It was at revision 1.
      expect(rig.compacted).toEqual([]);
      await rig.pass(1, 5 * MINUTE, 0);
      expect(rig.compacted).toEqual([91]);
      await rig.pass(3, 5 * MINUTE, 0);
      expect(rig.compacted).toEqual([91]);
      rig.raft.leads = false;
      await rig.pass(3, 5 * MINUTE, 5);
      expect(rig.compacted).toEqual([91]);
      rig.raft.leads = true;
      rig.answer = 'NO_LEADER';
      await rig.pass(1, 5 * MINUTE, 0);
      rig.answer = undefined;
      await rig.pass(1, 5 * MINUTE, 0);
      expect(rig.compacted).toEqual([91, 106]);
      expect(rig.log).toContain(
        'failed auto revision compaction {"revision":106,"revision-compaction-retention":10,' +
          '"retry-interval":"5m0s","error":"etcdserver: no leader"}',
      );
    });
  });
});

test('switched off, and stopped, it does nothing', async () => {
  await on(periodic(0), async (rig) => {
    await rig.pass(30, HOUR, 1);
    expect(rig.compacted).toEqual([]);
  });
  await on(periodic(MINUTE), async (rig) => {
    rig.stop();
    await rig.pass(30, MINUTE, 1);
    expect(rig.compacted).toEqual([]);
  });
});

describe('whole members', () => {
  test('the history of a minute is kept, what is older is gone', async () => {
    const env = createSimEnv({ seed: 3, autoRun: false });
    await env.run(async () => {
      const member = await SimMember.start(env, simConfig({ autoCompaction: periodic(MINUTE) }));
      for (let i = 0; i < 130; i++) {
        await member.put('k', `${i}`);
        await new Promise<void>((resolve) => env.timers.after(1000, resolve));
      }
      const { compactedRev, currentRev } = member.member.parts.store.machine.kv;
      expect(currentRev - compactedRev).toBeGreaterThanOrEqual(59);
      expect(currentRev - compactedRev).toBeLessThanOrEqual(125);
      expect(compactedRev).toBeGreaterThan(5);
      await member.stop();
    });
  });

  test('of several, the leader compacts; all are compacted at the same revision', async () => {
    await SimCluster.run(async (cluster) => {
      const settings = { autoCompaction: periodic(10_000) };
      const hosts = await cluster.found(['a', 'b', 'c'], settings);
      const started = (host: (typeof hosts)[number]) =>
        host.log.filter((line) => line.includes('starting auto periodic compaction')).length;
      const run = async () => {
        const { leader, followers } = await cluster.leaderOf(hosts);
        const before = hosts.map(started);
        for (let i = 0; i < 30; i++) {
          await leader.up.put('k', `${i}`);
          await cluster.sleep(1000);
        }
        expect(started(leader)).toBeGreaterThan(before[hosts.indexOf(leader)]!);
        for (const each of followers) expect(started(each)).toBe(before[hosts.indexOf(each)]);
        await cluster.even(hosts);
        const revisions = hosts.map(({ up }) => up.member.parts.store.machine.kv.compactedRev);
        expect(new Set(revisions).size).toBe(1);
        return { leader, followers, compacted: revisions[0]! };
      };
      const first = await run();
      expect(first.compacted).toBeGreaterThan(0);
      const target = first.followers[0]!.up.member.memberId;
      await first.leader.up.member.parts.leadership.moveTo(target);
      const second = await run();
      expect(second.leader).not.toBe(first.leader);
      expect(second.compacted).toBeGreaterThan(first.compacted);
      await Promise.all(hosts.map((host) => host.stop()));
    });
  });
});
