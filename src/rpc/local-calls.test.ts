import { expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes } from '../base/index.ts';
import { createSimEnv, type SimEnv } from '../env/sim/index.ts';
import { BYTES_ENCODER, EMPTY_METADATA, GrpcStatusError, STATUS } from '../grpc/index.ts';
import { etcdserverpb } from '../protocol/index.ts';
import type { StreamCall, UnaryCall } from './call.ts';
import { LOCAL_HIGH_WATER_BYTES, LOCAL_QUEUED_BYTES_MAX } from './limits.ts';
import type { LocalContext } from './local-call.ts';
import { LocalCalls } from './local-calls.ts';
import { ServiceTable } from './service-table.ts';
import { failWith, statusOfError } from './status.ts';

const { range, put, rangeStream } = etcdserverpb.KVService.methods;
const { watch } = etcdserverpb.WatchService.methods;

const CONTEXT: LocalContext = {
  peer: { address: 'in process', encrypted: true, certificate: undefined },
  metadata: EMPTY_METADATA,
  deadlineMs: Number.POSITIVE_INFINITY,
  caller: undefined,
};

/** One piece of a stream, `size` bytes long. */
const PIECE = new Uint8Array(LOCAL_HIGH_WATER_BYTES / 4);

interface Rig {
  readonly env: SimEnv;
  readonly table: ServiceTable;
  readonly calls: LocalCalls;
  readonly errors: unknown[];
}

/** Runs with an empty table in simulated time. */
async function withCalls(body: (rig: Rig) => Promise<void>, table = new ServiceTable()) {
  const env = createSimEnv({ seed: 1, autoRun: false });
  const errors: unknown[] = [];
  const onHandlerError = (_: unknown, error: unknown) => errors.push(error);
  const calls = new LocalCalls({ table, env, onHandlerError });
  await env.run(() => body({ env, table, calls, errors }));
}

async function statusOfCall(call: Promise<Uint8Array>): Promise<readonly [number, string]> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GrpcStatusError)) throw error ?? new Error('the call was answered');
  return [error.code, error.details];
}

/** A handler that notes what it hears, and a listener that does. */
function noting(heard: string[]) {
  let call!: StreamCall;
  return {
    opener: (opened: StreamCall) => {
      call = opened;
      return {
        onMessage: (bytes: Uint8Array) => heard.push(`server: ${latin1FromBytes(bytes)}`),
        onEnd: () => heard.push('server: end'),
        onCancel: () => heard.push('server: cancelled'),
        onDrain: () => heard.push('server: drain'),
      };
    },
    listener: {
      onMessage: (bytes: Uint8Array) =>
        heard.push(`client: ${bytes.length > 9 ? bytes.length : latin1FromBytes(bytes)}`),
      onEnd: (status: number, message: string) => heard.push(`client: ${status} ${message}`),
      onDrain: () => heard.push('client: drain'),
    },
    get call() {
      return call;
    },
  };
}

test('a unary call is answered now, later, in pieces, or with a status', async () => {
  await withCalls(async ({ env, table, calls }) => {
    let waiting: UnaryCall | undefined;
    table.unary(put, (call, request) => {
      if (request.value.length > 0) failWith(call, 'NO_SPACE');
      else waiting = call;
    });
    table.unary(range, (call, request) => {
      if (request.limit === 0) call.reply(range.response, range.response.create({ count: 7 }));
      else call.replyInPieces(3, [bytesFromLatin1('a'), bytesFromLatin1('bc')].values());
    });
    const ask = (limit: number) =>
      calls.unary(range.path, range.request.encode(range.request.create({ limit })), CONTEXT);
    expect(range.response.decode(await ask(0)).count).toBe(7);
    expect(latin1FromBytes(await ask(1))).toBe('abc');

    const later = calls.unary(put.path, new Uint8Array(0), CONTEXT);
    await env.timers.nextTurn();
    waiting!.reply(BYTES_ENCODER, bytesFromLatin1('later'));
    waiting!.fail(STATUS.INTERNAL, 'answered already');
    expect(latin1FromBytes(await later)).toBe('later');

    const full = put.request.encode(put.request.create({ value: bytesFromLatin1('v') }));
    const { status, message } = statusOfError('NO_SPACE');
    expect(await statusOfCall(calls.unary(put.path, full, CONTEXT))).toEqual([status, message]);
  });
});

test('guards see who calls, and from where', async () => {
  const seen: unknown[] = [];
  const table = new ServiceTable([
    ({ peer, metadata, caller }) => {
      seen.push([peer.address, metadata.get('token'), caller?.username]);
      return statusOfError('PERMISSION_DENIED');
    },
  ]);
  await withCalls(async ({ calls }) => {
    table.unary(put, () => seen.push('handled'));
    const caller = { username: 'root', authRevision: 3 };
    const call = calls.unary(put.path, new Uint8Array(0), { ...CONTEXT, caller });
    const { status, message } = statusOfError('PERMISSION_DENIED');
    expect(await statusOfCall(call)).toEqual([status, message]);
    expect(seen).toEqual([['in process', undefined, 'root']]);
  }, table);
});

test('a unary call ends at its deadline, when it is aborted, and when its handler throws', async () => {
  await withCalls(async ({ env, table, calls, errors }) => {
    const begun: UnaryCall[] = [];
    const cancelled: number[] = [];
    table.unary(put, (call, { value }) => {
      if (value.length > 0) throw new Error('a mistake');
      call.onCancel = () => cancelled.push(begun.indexOf(call));
      begun.push(call);
    });
    const ask = (context: LocalContext, value = '') => {
      const request = put.request.create({ value: bytesFromLatin1(value) });
      return statusOfCall(calls.unary(put.path, put.request.encode(request), context));
    };
    const nowMs = env.clock.monotonicMs();
    const late = [STATUS.DEADLINE_EXCEEDED, 'context deadline exceeded'];
    expect(await ask({ ...CONTEXT, deadlineMs: nowMs + 50 })).toEqual(late);
    expect(env.clock.monotonicMs() - nowMs).toBeGreaterThanOrEqual(50);
    expect([begun.length, begun[0]!.ended, begun[0]!.isWanted()]).toEqual([1, true, false]);
    expect(await ask({ ...CONTEXT, deadlineMs: nowMs })).toEqual(late);
    expect(begun).toHaveLength(1);

    const abort = new AbortController();
    const aborted = ask({ ...CONTEXT, signal: abort.signal });
    expect(begun[1]!.ended).toBe(false);
    abort.abort();
    expect(begun[1]!.ended).toBe(true);
    expect(await aborted).toEqual([STATUS.CANCELED, 'context canceled']);
    expect(await ask({ ...CONTEXT, signal: abort.signal })).toEqual(await aborted);
    expect(cancelled).toEqual([0, 1]);

    expect(await ask(CONTEXT, 'v')).toEqual([STATUS.INTERNAL, 'internal error']);
    expect(errors).toEqual([new Error('a mistake')]);
    expect(await statusOfCall(calls.unary('/a.B/C', new Uint8Array(0), CONTEXT))).toEqual([
      STATUS.UNIMPLEMENTED,
      'unknown unary method /a.B/C',
    ]);
  });
});

test('a stream carries messages both ways, in order, and ends after the last one', async () => {
  await withCalls(async ({ env, table, calls }) => {
    const heard: string[] = [];
    const both = noting(heard);
    table.stream(watch, both.opener);
    const stream = calls.stream(watch.path, both.listener, CONTEXT);
    stream.send(bytesFromLatin1('a'));
    stream.send(bytesFromLatin1('b'));
    stream.end();
    expect(heard).toEqual([]);
    await env.timers.nextTurn();
    expect(heard.splice(0)).toEqual(['server: a', 'server: b', 'server: end']);
    both.call.write(BYTES_ENCODER, bytesFromLatin1('c'));
    both.call.end();
    both.call.write(BYTES_ENCODER, bytesFromLatin1('too late'));
    await env.timers.nextTurn();
    expect(heard).toEqual(['client: c', 'client: 0 ']);
  });
});

test('a method that takes one request gets it when that is all', async () => {
  await withCalls(async ({ env, table, calls }) => {
    const heard: string[] = [];
    const both = noting(heard);
    table.stream(rangeStream, both.opener);
    const stream = calls.stream(rangeStream.path, both.listener, CONTEXT);
    stream.send(bytesFromLatin1('a'));
    await env.timers.nextTurn();
    expect(heard).toEqual([]);
    stream.end();
    await env.timers.nextTurn();
    expect(heard.splice(0)).toEqual(['server: a', 'server: end']);
    calls.stream(rangeStream.path, both.listener, CONTEXT).end();
    expect(heard).toEqual([
      'server: cancelled',
      'client: 13 cardinality violation: received 0 request messages for non-client-streaming RPC',
    ]);
  });
});

test('who sends is asked to wait, told of room, and cut off if it does not wait', async () => {
  await withCalls(async ({ env, table, calls }) => {
    const heard: string[] = [];
    const both = noting(heard);
    table.stream(watch, both.opener);
    const stream = calls.stream(watch.path, both.listener, CONTEXT);
    stream.pause();
    const answers = Array.from({ length: 4 }, () => both.call.write(BYTES_ENCODER, PIECE));
    expect(answers).toEqual([true, true, true, false]);
    expect(both.call.hasRoom).toBe(false);
    await env.timers.nextTurn();
    expect(heard).toEqual([]);
    stream.resume();
    await env.timers.nextTurn();
    expect(heard.splice(0)).toEqual([
      ...answers.map(() => `client: ${PIECE.length}`),
      'server: drain',
    ]);
    expect(both.call.hasRoom).toBe(true);

    both.call.pause();
    while (stream.send(bytesFromLatin1('x'.repeat(PIECE.length))));
    both.call.resume();
    await env.timers.nextTurn();
    expect(heard.splice(0).at(-1)).toBe('client: drain');

    stream.pause();
    const most = LOCAL_QUEUED_BYTES_MAX / PIECE.length;
    for (let i = 0; i < most; i++) both.call.write(BYTES_ENCODER, PIECE);
    expect(both.call.ended).toBe(false);
    both.call.write(BYTES_ENCODER, PIECE);
    expect(both.call.ended).toBe(true);
    expect(heard).toEqual([
      'server: cancelled',
      `client: ${STATUS.RESOURCE_EXHAUSTED} the client of a stream takes too little of it`,
    ]);
  });
});

test('a stream ends once: cancelled, at its deadline, refused, or with a handler that throws', async () => {
  const table = new ServiceTable([
    ({ caller }) => (caller === undefined ? undefined : statusOfError('PERMISSION_DENIED')),
  ]);
  await withCalls(async ({ env, calls, errors }) => {
    const heard: string[] = [];
    const both = noting(heard);
    table.stream(watch, both.opener);
    const stream = calls.stream(watch.path, both.listener, CONTEXT);
    both.call.write(BYTES_ENCODER, PIECE);
    stream.cancel();
    stream.cancel();
    await env.timers.nextTurn();
    expect(heard.splice(0)).toEqual(['server: cancelled', 'client: 1 context canceled']);

    const deadlineMs = env.clock.monotonicMs() + 10;
    calls.stream(watch.path, both.listener, { ...CONTEXT, deadlineMs });
    await new Promise<void>((resolve) => env.timers.after(20, resolve));
    expect(heard.splice(0)).toEqual(['server: cancelled', 'client: 4 context deadline exceeded']);

    const caller = { username: 'eve', authRevision: 1 };
    calls.stream(watch.path, both.listener, { ...CONTEXT, caller });
    await env.timers.nextTurn();
    const { status, message } = statusOfError('PERMISSION_DENIED');
    expect(heard.splice(0)).toEqual([`client: ${status} ${message}`]);

    table.stream(rangeStream, () => {
      throw new Error('a mistake');
    });
    calls.stream(rangeStream.path, both.listener, CONTEXT);
    expect(heard).toEqual(['client: 13 internal error']);
    expect(errors).toEqual([new Error('a mistake')]);
    expect(() => calls.stream(put.path, both.listener, CONTEXT)).toThrow('unknown stream');
  }, table);
});
