// Snapshots for clients on a member in a simulated world, driven without sockets.

import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { StreamCall } from '../../rpc/index.ts';
import { SNAPSHOT_COPIES_MAX } from '../limits.ts';
import type { Member } from '../member.ts';
import { openerOf, SimMember } from '../testing/sim-member.fixture.ts';

/** Begins calls whose client takes a piece or not, as `takes` says. */
function opener(member: Member) {
  const open = openerOf(member, etcdserverpb.MaintenanceService.methods.snapshot.path);
  return (takes: boolean) => {
    const ends: { readonly status: number; readonly message: string }[] = [];
    const call = {
      metadata: new Map(),
      hasRoom: takes,
      write: () => takes,
      pause: () => {},
      resume: () => {},
      end: (status = STATUS.OK, message = '') => void ends.push({ status, message }),
    };
    const handler = open(call as unknown as StreamCall);
    handler.onMessage(new Uint8Array(0));
    return { handler, ends };
  };
}

test('snapshots that are not read make way for others, one at a time', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  const sleep = (ms: number) => new Promise<void>((resolve) => env.timers.after(ms, resolve));
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const begin = opener(member);
    const unread = Array.from({ length: SNAPSHOT_COPIES_MAX }, () => begin(false));
    // So soon, nobody knows yet who is slow.
    const early = begin(true);
    expect(early.ends.map(({ message }) => message)).toEqual(['etcdserver: too many requests']);
    await sleep(2_000);
    const reading = begin(true);
    await sleep(1_000);
    expect(reading.ends.map(({ status }) => status)).toEqual([STATUS.OK]);
    expect(unread.map(({ ends }) => ends.length)).toEqual([1, ...unread.slice(1).map(() => 0)]);
    expect(unread[0]!.ends[0]!.message).toBe('etcdserver: too many requests');
    for (const { handler } of unread) handler.onCancel();
    await member.stop();
  });
});
