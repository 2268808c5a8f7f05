import { describe, expect, test } from 'vitest';
import { bytesFromUtf8, EMPTY_BYTES } from '../base/index.ts';
import { STATUS } from '../grpc/index.ts';
import { etcdserverpb, health } from '../protocol/index.ts';
import type { StreamCall, UnaryCall } from './call.ts';
import { serveGrpc } from './serve-grpc.ts';
import { type Gate, type Guard, type MethodTraits, ServiceTable } from './service-table.ts';
import { failWith, statusOfError } from './status.ts';

const { put, range, rangeStream } = etcdserverpb.KVService.methods;
const { watch } = etcdserverpb.WatchService.methods;
const { snapshot } = etcdserverpb.MaintenanceService.methods;

const MALFORMED = Uint8Array.of(0x0a, 0x7f, 0);

/** A call that notes how it was answered. */
class TestCall {
  readonly answers: unknown[] = [];
  caller = undefined;
  wanted = true;

  isWanted(): boolean {
    return this.wanted;
  }

  reply(_encoder: unknown, message: unknown): void {
    this.answers.push(message);
  }

  fail(status: number, message: string): void {
    this.answers.push([status, message]);
  }

  end(status = STATUS.OK, message = ''): void {
    this.answers.push([status, message]);
  }

  get asUnary(): UnaryCall {
    return this as unknown as UnaryCall;
  }

  get asStream(): StreamCall {
    return this as unknown as StreamCall;
  }
}

const NOTHING = { onMessage: () => {}, onEnd: () => {}, onCancel: () => {}, onDrain: () => {} };

function serve(table: ServiceTable, path: string, bytes: Uint8Array): readonly unknown[] {
  const entry = table.get(path);
  if (entry?.kind !== 'unary') throw new Error(`${path} is not there`);
  const call = new TestCall();
  entry.serve(call.asUnary, bytes);
  return call.answers;
}

describe('a unary method', () => {
  test('gets its request decoded, and as the bytes that came', () => {
    const table = new ServiceTable();
    const seen: unknown[] = [];
    table.unary(put, (_call, request, bytes) => seen.push([request.value, bytes]));
    const bytes = put.request.encode(put.request.create({ value: bytesFromUtf8('v') }));
    serve(table, put.path, bytes);
    expect(seen).toEqual([[bytesFromUtf8('v'), bytes]]);
    expect((seen[0] as unknown[])[1]).toBe(bytes);
  });

  test('that is no message of its type is refused as grpc-go does, before any guard', () => {
    const asked: string[] = [];
    const table = new ServiceTable([(call) => void asked.push(call.path)]);
    table.unary(put, (call) => failWith(call, 'NO_SPACE'));
    const [answer] = serve(table, put.path, MALFORMED);
    expect(answer).toEqual([
      STATUS.INTERNAL,
      expect.stringMatching(/^grpc: error unmarshalling request: /),
    ]);
    expect(asked).toEqual([]);
  });
});

describe('guards', () => {
  const learner: Guard = (_call, { traits: { servedByLearner = false } }, request) => {
    const serves =
      typeof servedByLearner === 'boolean' ? servedByLearner : servedByLearner(request);
    return serves ? undefined : statusOfError('NOT_SUPPORTED_FOR_LEARNER');
  };

  test('see call, entry and decoded request, in order, until one refuses', () => {
    const asked: unknown[] = [];
    const noting =
      (name: string, answer: ReturnType<Guard>): Guard =>
      (call, entry, request) => {
        asked.push([name, call.caller, entry.descriptor.name, request]);
        return answer;
      };
    const guards = [
      noting('a', undefined),
      noting('b', statusOfError('NO_LEADER')),
      noting('c', undefined),
    ];
    const table = new ServiceTable(guards);
    table.unary(range, () => asked.push('handled'));
    const request = range.request.create({ limit: 7 });
    const answers = serve(table, range.path, range.request.encode(request));
    expect(answers).toEqual([[STATUS.UNAVAILABLE, 'etcdserver: no leader']]);
    expect(asked).toEqual([
      ['a', undefined, 'Range', request],
      ['b', undefined, 'Range', request],
    ]);
  });

  test('decide by the traits of a method, which may look at the request', () => {
    const table = new ServiceTable([learner]);
    const traits: MethodTraits<etcdserverpb.RangeRequest> = {
      servedByLearner: (request) => request.serializable,
    };
    table.unary(range, (call) => call.reply(range.response, range.response.create()), traits);
    table.unary(put, (call) => call.reply(put.response, put.response.create()));
    const refused = [STATUS.FAILED_PRECONDITION, expect.stringContaining('learner')];
    const ask = (serializable: boolean) =>
      serve(table, range.path, range.request.encode(range.request.create({ serializable })));
    expect(ask(true)).toEqual([range.response.create()]);
    expect(ask(false)).toEqual([refused]);
    expect(serve(table, put.path, EMPTY_BYTES)).toEqual([refused]);
  });

  test('end a stream before its opener hears of it', () => {
    const table = new ServiceTable([learner]);
    let opened = 0;
    const opener = () => {
      opened++;
      return NOTHING;
    };
    table.stream(watch, opener);
    table.stream(snapshot, opener, { servedByLearner: true });
    const open = (path: string) => {
      const entry = table.get(path);
      if (entry === undefined || entry.kind === 'unary') throw new Error('it streams');
      const call = new TestCall();
      // What was on its way when the stream was refused goes nowhere.
      entry.open(call.asStream).onMessage(MALFORMED);
      return call.answers;
    };
    expect(open(watch.path)).toEqual([
      [STATUS.FAILED_PRECONDITION, expect.stringContaining('learner')],
    ]);
    expect(opened).toBe(0);
    expect(open(snapshot.path)).toEqual([]);
    expect(opened).toBe(1);
  });
});

test('the table can be walked, and knows the kind of every method', () => {
  const table = new ServiceTable();
  table.unary(put, () => {}, { holdsMemory: true });
  table.stream(rangeStream, () => NOTHING);
  table.stream(watch, () => NOTHING);
  table.stream(health.HealthService.methods.watch, () => NOTHING);
  expect(
    [...table.entries()].map(({ descriptor, kind, traits }) => [descriptor.path, kind, traits]),
  ).toEqual([
    ['/etcdserverpb.KV/Put', 'unary', { holdsMemory: true }],
    ['/etcdserverpb.KV/RangeStream', 'server_stream', {}],
    ['/etcdserverpb.Watch/Watch', 'bidi_stream', {}],
    ['/grpc.health.v1.Health/Watch', 'server_stream', {}],
  ]);
  const registered: unknown[] = [];
  serveGrpc(table, {
    unary: (path) => registered.push(['unary', path]),
    stream: (path) => registered.push(['stream', path]),
    serverStream: (path) => registered.push(['serverStream', path]),
  });
  expect(registered).toEqual([
    ['unary', '/etcdserverpb.KV/Put'],
    ['serverStream', '/etcdserverpb.KV/RangeStream'],
    ['stream', '/etcdserverpb.Watch/Watch'],
    ['serverStream', '/grpc.health.v1.Health/Watch'],
  ]);
});

test('a path is registered once, and as what it is', () => {
  const table = new ServiceTable();
  table.unary(put, () => {});
  expect(() => table.unary(put, () => {})).toThrow('/etcdserverpb.KV/Put is registered already');
  expect(() => table.unary(watch, () => {})).toThrow('/etcdserverpb.Watch/Watch streams');
  expect(() => table.stream(range, () => NOTHING)).toThrow(
    '/etcdserverpb.KV/Range does not stream',
  );
  expect([...table.entries()]).toHaveLength(1);
});

describe('a gate', () => {
  const value = bytesFromUtf8('v');
  const bytes = put.request.encode(put.request.create({ value }));

  test('is asked after the guards, and refuses as they do', () => {
    const asked: string[] = [];
    const guard: Guard = (_call, _entry, request) => {
      asked.push('guard');
      return request === undefined ? undefined : statusOfError('NO_LEADER');
    };
    const gate: Gate = () => {
      asked.push('gate');
      return statusOfError('USER_EMPTY');
    };
    const handled = (gates: [(readonly Guard[])?, Gate?]) => {
      const table = new ServiceTable(...gates);
      table.unary(put, () => asked.push('handler'));
      return serve(table, put.path, bytes);
    };
    expect(handled([[guard], gate])).toEqual([[STATUS.UNAVAILABLE, 'etcdserver: no leader']]);
    expect(handled([[], gate])).toEqual([
      [STATUS.INVALID_ARGUMENT, 'etcdserver: user name is empty'],
    ]);
    expect(handled([[], () => undefined])).toEqual([]);
    expect(asked).toEqual(['guard', 'gate', 'handler']);
  });

  test('may take its time; the request waits in memory of its own', async () => {
    const answers: ((refusal?: ReturnType<typeof statusOfError>) => void)[] = [];
    const gate: Gate = () => new Promise((resolve) => answers.push(resolve));
    const table = new ServiceTable([], gate);
    const seen: unknown[] = [];
    table.unary(put, (call, request, logged) => {
      seen.push([request.value, logged]);
      call.reply(put.response, put.response.create());
    });
    const entry = table.get(put.path);
    if (entry?.kind !== 'unary') throw new Error('not there');
    const calls = [new TestCall(), new TestCall(), new TestCall()];
    const buffer = Uint8Array.from(bytes);
    for (const call of calls) entry.serve(call.asUnary, buffer);
    buffer.fill(0xff);
    calls[2]!.wanted = false;
    answers[0]!();
    answers[1]!(statusOfError('INVALID_AUTH_TOKEN'));
    answers[2]!();
    await Promise.resolve();
    expect(seen).toEqual([[value, bytes]]);
    expect(calls.map((call) => call.answers)).toEqual([
      [put.response.create()],
      [[STATUS.UNAUTHENTICATED, 'etcdserver: invalid auth token']],
      [],
    ]);
  });
});
