// Streams of the services on a member in a simulated world, driven without sockets.

import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv } from '../../env/index.ts';
import {
  type Server,
  STATUS,
  type StreamCall,
  type StreamHandler,
  type StreamOpener,
} from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { Member } from '../member.ts';
import { SimMember } from '../sim-member.fixture.ts';
import { registerLeaseService } from './lease.ts';
import { registerWatchService } from './watch.ts';

const MALFORMED = Uint8Array.from([0x0a, 0x7f, 0x00]);

interface Ended {
  readonly status: number;
  readonly message: string;
}

/** One call of the only stream that `register` registers, and how it ended. */
function openStream(
  register: (server: Server, member: Member) => void,
  member: Member,
): { readonly handler: StreamHandler; readonly ends: Ended[] } {
  const openers: StreamOpener[] = [];
  const server = {
    unary: () => {},
    stream: (_: string, opener: StreamOpener) => openers.push(opener),
  };
  register(server as unknown as Server, member);
  const ends: Ended[] = [];
  const call = {
    metadata: new Map(),
    hasRoom: true,
    write: () => true,
    pause: () => {},
    resume: () => {},
    end: (status = STATUS.OK, message = '') => void ends.push({ status, message }),
  };
  return { handler: openers[0]!(call as unknown as StreamCall), ends };
}

test('a watch stream with a malformed request ends, and its watchers go', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const { handler, ends } = openStream(registerWatchService, member);
    const { WatchRequestCodec, WatchCreateRequestCodec } = etcdserverpb;
    const value = WatchCreateRequestCodec.create({ key: bytesFromLatin1('a') });
    handler.onMessage(WatchRequestCodec.encode({ requestUnion: { case: 'createRequest', value } }));
    expect(member.machine.watch.hub.syncedCount).toBe(1);
    handler.onMessage(MALFORMED);
    expect(ends).toHaveLength(1);
    expect(ends[0]!.status).toBe(STATUS.INTERNAL);
    expect(ends[0]!.message).toMatch(/^grpc: failed to unmarshal the received message: /);
    expect(member.machine.watch.hub.syncedCount).toBe(0);
    expect(member.metrics.mvcc.watchStreams.value).toBe(0);
    await member.stop();
  });
});

test('a keep-alive stream with a malformed request ends', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const { handler, ends } = openStream(registerLeaseService, member);
    handler.onMessage(MALFORMED);
    handler.onMessage(MALFORMED);
    expect(ends.map(({ status }) => status)).toEqual([STATUS.INTERNAL]);
    await member.stop();
  });
});
