import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import { Cluster, type ClusterVersion, emptyState } from '../../membership/index.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import type { Proposal } from '../consensus/proposals.ts';
import { publishAgain, publishVersionAlone } from './publication.ts';

const storeOf = (version: ClusterVersion | undefined) => ({
  machine: {
    cluster: new Cluster({ ...emptyState(0), version }, { clusterId: 1n, maxLearners: 1 }),
  },
});

test('a publication that is refused at once leaves time for what is in its way', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  // A long tail of the log is applied: until then every request is refused before it is proposed.
  let backlog = true;
  env.timers.after(1000, () => {
    backlog = false;
  });
  let tries = 0;
  const parts = {
    env,
    log: { warn: () => {} },
    config: { maxClusterVersion: undefined },
    store: storeOf(undefined),
    life: { isStopping: false },
    proposals: {
      propose: (...args: [unknown, unknown, unknown, unknown, unknown, Proposal]) => {
        const [, , , , , proposal] = args;
        tries++;
        if (backlog) proposal.fail('REQUEST_TOO_MANY_REQUESTS');
        else proposal.complete({ kind: 'applied' });
      },
      proposeV2: () => expect.unreachable(),
    },
  };
  await env.run(() => publishVersionAlone(parts));
  expect(tries).toBeGreaterThan(1);
  expect(tries).toBeLessThan(20);
});

interface How {
  readonly leads: boolean;
  readonly version?: ClusterVersion;
  readonly refused?: boolean;
}

const V37: ClusterVersion = { major: 3, minor: 7 };

test.each([
  ['logs its attributes once more', { leads: true, version: V37 }, 1],
  ['does not try again when it is refused', { leads: true, version: V37, refused: true }, 1],
  ['leaves it to others when it does not lead', { leads: false, version: V37 }, 0],
  ['leaves it to the version that the members have yet to agree on', { leads: true }, 0],
])('after a database a member %s', async (_what, how: How, count) => {
  const logged: number[] = [];
  const parts = {
    memberId: 1n,
    config: { name: 'm1', advertiseClientUrls: ['http://m1:2379'] },
    raft: { leads: how.leads },
    store: storeOf(how.version),
    proposals: {
      propose: (...args: [number, unknown, unknown, unknown, unknown, Proposal]) => {
        const [kind, , , , , proposal] = args;
        logged.push(kind);
        if (how.refused === true) proposal.fail('REQUEST_TOO_MANY_REQUESTS');
        else proposal.complete({ kind: 'applied' });
      },
      proposeV2: () => expect.unreachable(),
    },
  };
  await publishAgain(parts);
  expect(logged).toEqual(Array.from({ length: count }, () => REQUEST_KIND.CLUSTER_MEMBER_ATTR_SET));
});
