import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import type { Proposal } from '../consensus/proposals.ts';
import type { MemberCore } from '../core.ts';
import { publishVersionAlone } from './publication.ts';

test('a publication that is refused at once leaves time for what is in its way', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  // A long tail of the log is applied: until then every request is refused before it is proposed.
  let backlog = true;
  env.timers.after(1000, () => {
    backlog = false;
  });
  let tries = 0;
  const core = {
    env,
    log: { warn: () => {} },
    config: { maxClusterVersion: undefined },
    machine: { cluster: { version: undefined } },
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
  await env.run(() => publishVersionAlone(core as unknown as MemberCore));
  expect(tries).toBeGreaterThan(1);
  expect(tries).toBeLessThan(20);
});
