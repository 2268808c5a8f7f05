// Streams of the services on a member in a simulated world, driven without sockets.

import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { type Encoder, STATUS, type StreamHandler } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { StreamCall, UnaryCall } from '../../rpc/index.ts';
import type { Member } from '../member.ts';
import { openerOf, SimMember, servingOf } from '../testing/sim-member.fixture.ts';

const WATCH = etcdserverpb.WatchService.methods.watch.path;
const KEEP_ALIVE = etcdserverpb.LeaseService.methods.leaseKeepAlive.path;
const GRANT = etcdserverpb.LeaseService.methods.leaseGrant.path;
const SNAPSHOT = etcdserverpb.MaintenanceService.methods.snapshot.path;

const MALFORMED = Uint8Array.from([0x0a, 0x7f, 0x00]);

interface Ended {
  readonly status: number;
  readonly message: string;
}

interface OpenedStream {
  readonly handler: StreamHandler;
  readonly ends: Ended[];
  readonly written: Uint8Array[];
}

/** One call of a stream, and how it ended. */
function openStream(path: string, member: Member): OpenedStream {
  const ends: Ended[] = [];
  const written: Uint8Array[] = [];
  const call = {
    metadata: new Map(),
    hasRoom: true,
    write: <T>(encoder: Encoder<T>, message: T) => {
      const bytes = new Uint8Array(encoder.size(message));
      encoder.write(message, bytes, 0);
      written.push(bytes);
      return true;
    },
    pause: () => {},
    resume: () => {},
    end: (status = STATUS.OK, message = '') => void ends.push({ status, message }),
    endUnreadable: (message: string) => void ends.push({ status: STATUS.INTERNAL, message }),
  };
  return { handler: openerOf(member, path)(call as unknown as StreamCall), ends, written };
}

test('a watch stream with a malformed request ends, and its watchers go', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const { handler, ends } = openStream(WATCH, member);
    const { WatchRequestCodec, WatchCreateRequestCodec } = etcdserverpb;
    const value = WatchCreateRequestCodec.create({ key: bytesFromLatin1('a') });
    handler.onMessage(WatchRequestCodec.encode({ requestUnion: { case: 'createRequest', value } }));
    expect(member.parts.store.machine.watch.hub.syncedCount).toBe(1);
    handler.onMessage(MALFORMED);
    expect(ends).toHaveLength(1);
    expect(ends[0]!.status).toBe(STATUS.INTERNAL);
    expect(ends[0]!.message).toMatch(/^grpc: failed to unmarshal the received message: /);
    expect(member.parts.store.machine.watch.hub.syncedCount).toBe(0);
    expect(member.parts.metrics.mvcc.watchStreams.value).toBe(0);
    await member.stop();
  });
});

test('a keep-alive stream with a malformed request ends', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const { handler, ends } = openStream(KEEP_ALIVE, member);
    handler.onMessage(MALFORMED);
    handler.onMessage(MALFORMED);
    expect(ends.map(({ status }) => status)).toEqual([STATUS.INTERNAL]);
    await member.stop();
  });
});

test('near the heap limit no stream, watcher or lease is added, and what is there goes on', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const watch = openStream(WATCH, member);
    const { WatchRequestCodec, WatchCreateRequestCodec, WatchResponseCodec } = etcdserverpb;
    const value = WatchCreateRequestCodec.create({ key: bytesFromLatin1('a') });
    const create = WatchRequestCodec.encode({ requestUnion: { case: 'createRequest', value } });
    watch.handler.onMessage(create);
    member.parts.quota.acceptHeapUse({ usedBytes: 8, limitBytes: 10 });

    watch.handler.onMessage(create);
    const [made, refused] = watch.written.map((bytes) => WatchResponseCodec.decode(bytes));
    expect([made!.created, made!.canceled]).toEqual([true, false]);
    expect([refused!.created, refused!.canceled]).toEqual([true, true]);
    expect(refused!.cancelReason).toBe('etcdserver: too many requests');
    expect(watch.ends).toEqual([]);
    expect(member.parts.store.machine.watch.hub.syncedCount).toBe(1);

    const refusal = { status: STATUS.RESOURCE_EXHAUSTED, message: 'etcdserver: too many requests' };
    for (const path of [WATCH, KEEP_ALIVE, SNAPSHOT]) {
      const { handler, ends } = openStream(path, member);
      expect(ends).toEqual([refusal]);
      handler.onMessage(create);
      expect(ends).toHaveLength(1);
    }
    const failures: Ended[] = [];
    const call = {
      metadata: new Map(),
      fail: (status: number, message: string) => failures.push({ status, message }),
    };
    const grant = servingOf(member, GRANT);
    grant(call as unknown as UnaryCall, Uint8Array.of());
    expect(failures).toEqual([refusal]);

    member.parts.quota.acceptHeapUse({ usedBytes: 1, limitBytes: 10 });
    watch.handler.onMessage(create);
    expect(member.parts.store.machine.watch.hub.syncedCount).toBe(2);
    await member.stop();
  });
});
