// A whole member's services called inside its process, behind the guards that every client meets.

import { expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { EMPTY_METADATA, STATUS } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { LocalCalls } from '../../rpc/index.ts';
import { SimMember } from '../testing/sim-member.fixture.ts';

const { KVService, WatchService, LeaseService, MaintenanceService } = etcdserverpb;
const { put, range, rangeStream } = KVService.methods;
const { watch } = WatchService.methods;
const { leaseGrant, leaseKeepAlive } = LeaseService.methods;
const { snapshot } = MaintenanceService.methods;

const KEYS = 60;
const VALUE = bytesFromLatin1('v'.repeat(10_000));

const CONTEXT = {
  peer: { address: 'in process', encrypted: true, certificate: undefined },
  metadata: EMPTY_METADATA,
  deadlineMs: Number.POSITIVE_INFINITY,
  caller: undefined,
};

test('every kind of method is served in process as it is over HTTP/2', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const { member } = await SimMember.start(env);
    const errors: unknown[] = [];
    const onHandlerError = (_: unknown, error: unknown) => errors.push(error);
    const calls = new LocalCalls({ table: member.services, env, onHandlerError });

    /** All that a stream sends, once `isDone` says so or it has ended. */
    const collect = (
      path: string,
      request: Uint8Array,
      isDone = (_: readonly Uint8Array[]) => false,
    ) =>
      new Promise<{ messages: Uint8Array[]; status: number }>((resolve) => {
        const messages: Uint8Array[] = [];
        const stream = calls.stream(
          path,
          {
            onMessage: (message) => {
              messages.push(message);
              if (isDone(messages)) stream.cancel();
            },
            onEnd: (status) => resolve({ messages, status }),
          },
          CONTEXT,
        );
        stream.send(request);
        if (path !== watch.path && path !== leaseKeepAlive.path) stream.end();
      });

    const createRequest = etcdserverpb.WatchCreateRequestCodec.create({
      key: bytesFromLatin1('k'),
      rangeEnd: bytesFromLatin1('l'),
    });
    const requestUnion = { case: 'createRequest', value: createRequest } as const;
    const watched = collect(
      watch.path,
      watch.request.encode({ requestUnion }),
      (messages) => eventsIn(messages).length === KEYS,
    );
    const keys = Array.from({ length: KEYS }, (_, i) => `k${1000 + i}`);
    for (const key of keys) {
      const request = put.request.create({ key: bytesFromLatin1(key), value: VALUE });
      await calls.unary(put.path, put.request.encode(request), CONTEXT);
    }
    expect(eventsIn((await watched).messages)).toEqual(keys);

    // Large enough to be answered in pieces.
    const all = { key: bytesFromLatin1('k'), rangeEnd: bytesFromLatin1('l') };
    const request = range.request.encode(range.request.create(all));
    const { kvs, count } = range.response.decode(await calls.unary(range.path, request, CONTEXT));
    expect([count, kvs.map(({ key }) => latin1FromBytes(key))]).toEqual([KEYS, keys]);
    const streamed = await collect(rangeStream.path, request);
    const pieces = streamed.messages.map((bytes) => rangeStream.response.decode(bytes));
    const inPieces = pieces.flatMap(({ rangeResponse }) => rangeResponse!.kvs);
    expect(inPieces.map(({ key }) => latin1FromBytes(key))).toEqual(keys);
    expect(kvs.every(({ value }) => Buffer.compare(value, VALUE) === 0)).toBe(true);

    const grant = leaseGrant.request.encode(leaseGrant.request.create({ id: 7n, ttl: 60 }));
    await calls.unary(leaseGrant.path, grant, CONTEXT);
    const renew = leaseKeepAlive.request.encode(leaseKeepAlive.request.create({ id: 7n }));
    const renewed = await collect(leaseKeepAlive.path, renew, ({ length }) => length === 1);
    expect(leaseKeepAlive.response.decode(renewed.messages[0]!)).toMatchObject({ id: 7n, ttl: 60 });

    const copy = await collect(snapshot.path, snapshot.request.encode(snapshot.request.create()));
    expect(copy.status).toBe(STATUS.OK);
    const blobs = copy.messages.map((bytes) => snapshot.response.decode(bytes).blob);
    const size = blobs.slice(0, -1).reduce((sum, { length }) => sum + length, 0);
    expect(size).toBe(member.parts.store.machine.backend.sizeBytes);

    expect(errors).toEqual([]);
    await member.stop();
  });
});

/** The keys of a watch's events. */
function eventsIn(messages: readonly Uint8Array[]): string[] {
  return messages
    .flatMap((bytes) => watch.response.decode(bytes).events)
    .map(({ kv }) => latin1FromBytes(kv!.key));
}
