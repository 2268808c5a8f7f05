import { expect, test } from 'vitest';
import { bytesFromUtf8 } from '../../base/index.ts';
import { PutResult } from '../../mvcc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { newEntry } from '../../raft/index.ts';
import { createLogger } from './log.ts';
import { entryText, rangeText, txnText } from './request-text.ts';
import { SlowRequests } from './slow-requests.ts';

const START_MS = Date.UTC(2026, 0, 2, 15, 4, 5);
const bytes = bytesFromUtf8;
const { InternalRaftRequestCodec, RangeRequestCodec, TxnRequestCodec } = etcdserverpb;
const { CompareCodec, PutRequestCodec, RequestHeaderCodec } = etcdserverpb;
const header = RequestHeaderCodec.create({ id: 7n });

function rig(warningApplyDurationMs = 100) {
  process.env['TZ'] = 'UTC';
  const time = { nowMs: 0 };
  const lines: { msg: string; level: string; [name: string]: unknown }[] = [];
  const clock = { wallMs: () => START_MS + time.nowMs, monotonicMs: () => time.nowMs };
  const sink = {
    write: (line: string) => {
      const { ts: _ts, caller: _caller, ...rest } = JSON.parse(line);
      lines.push(rest);
    },
  };
  const metrics = { server: { slowApplies: { value: 0 } } };
  const slow = new SlowRequests({
    config: { warningApplyDurationMs },
    turnClock: clock,
    env: {
      clock,
      entropy: { bytes: () => Uint8Array.of(0, 0, 0, 200) },
    },
    log: createLogger({ level: 'info', format: 'json' }, sink, clock, 'x'),
    metrics: metrics as never,
    sizeOfResult: () => 4,
  });
  return { slow, time, lines, metrics };
}

const PUT = InternalRaftRequestCodec.encode(
  InternalRaftRequestCodec.create({
    header,
    put: PutRequestCodec.create({ key: bytes('foo'), value: bytes('bar') }),
  }),
);

function putResult(): { kind: 'put'; put: PutResult } {
  const put = new PutResult();
  put.revision = 5;
  return { kind: 'put', put };
}

test('an entry that waited long leaves a trace that names what took the time, and nothing else', () => {
  const { slow, time, lines, metrics } = rig();
  time.nowMs = 250.5;
  slow.acceptResult(0, putResult());
  slow.endEntry(newEntry(0, 1, 1, PUT), 250, 250.5);
  expect(lines).toEqual([
    {
      level: 'info',
      msg: 'trace',
      trace_id: 100,
      operation: 'put',
      detail: '{key:foo; req_size:10; response_revision:5; }',
      duration: '250.5ms',
      start: '2026-01-02T15:04:05.000000Z',
      end: '2026-01-02T15:04:05.250500Z',
      steps: ["'process raft request'  (duration: 250ms)"],
      step_count: 1,
    },
  ]);
  expect(metrics.server.slowApplies.value).toBe(0);
});

test('an entry that is applied slowly is a warning, with the request and no value', () => {
  const { slow, time, lines, metrics } = rig();
  time.nowMs = 130;
  slow.acceptResult(0, putResult());
  slow.endEntry(newEntry(0, 1, 1, PUT), 10, 130);
  expect(lines[0]).toEqual({
    level: 'warn',
    msg: 'apply request took too long',
    took: '120ms',
    'expected-duration': '100ms',
    prefix: '',
    request: 'header:<ID:7> put:<key:"foo" value_size:3 >',
    response: 'size:4',
  });
  expect(lines[1]).toMatchObject({ steps: ["'apply to the state machine'  (duration: 120ms)"] });
  expect(metrics.server.slowApplies.value).toBe(1);
});

test('nothing is said of what is fast, of an entry of another member, or twice of one', () => {
  const { slow, lines } = rig();
  slow.acceptResult(0, putResult());
  slow.endEntry(newEntry(0, 1, 1, PUT), 99, 100);
  slow.acceptResult(Number.POSITIVE_INFINITY, putResult());
  slow.endEntry(newEntry(0, 1, 2, PUT), 500, 501);
  slow.endEntry(newEntry(0, 1, 3, PUT), 900, 901);
  slow.endEntry(newEntry(0, 1, 4, new Uint8Array(0)), 900, 901);
  expect(lines).toEqual([]);
});

test('an entry that holds no request, as a membership change, is passed over', () => {
  const { slow, lines } = rig();
  slow.endEntry(newEntry(0, 1, 1, Uint8Array.of(0xff)), 0, 101);
  slow.endEntry(newEntry(1, 1, 2, PUT), 0, 101);
  expect(lines).toEqual([]);
});

test('a range tells agreement from evaluation', () => {
  const { slow, time, lines } = rig();
  const request = RangeRequestCodec.create({ key: bytes('a'), rangeEnd: bytes('b'), limit: 5 });
  time.nowMs = 300;
  const times = { sinceMs: 0, agreedMs: 180, endMs: 300 };
  slow.endRange(request, times, { count: 2, revision: 9, size: 70 });
  expect(lines).toMatchObject([
    {
      prefix: 'read-only range ',
      request: 'key:"a" range_end:"b" limit:5',
      response: 'range_response_count:2 size:70',
    },
    {
      operation: 'range',
      detail: '{range_begin:a; range_end:b; response_count:2; response_revision:9; }',
      steps: [
        "'agreement among raft nodes before linearized reading'  (duration: 180ms)",
        "'range keys and assemble the response'  (duration: 120ms)",
      ],
      step_count: 2,
    },
  ]);
});

test('a duration of 0 warns of everything, also of what takes no time that is measured', () => {
  const { slow, lines } = rig(0);
  const times = { sinceMs: 5, agreedMs: 5, endMs: 5 };
  expect(times.endMs - times.sinceMs).toBeGreaterThan(slow.readMs);
  slow.endRange(RangeRequestCodec.create(), times, undefined, 'mvcc: compacted');
  slow.endEntry(newEntry(0, 1, 1, PUT), 5, 5);
  expect(lines).toMatchObject([
    {
      ...{ took: '0s', 'expected-duration': '0s', prefix: 'read-only range ' },
      ...{ response: '', error: 'mvcc: compacted' },
    },
    { took: '0s', 'expected-duration': '0s', prefix: '' },
  ]);
});

test('a round of read indexes tells the answer from the wait for entries', () => {
  const { slow, time, lines } = rig();
  time.nowMs = 150;
  slow.endReadIndex(0, 10, 7, 4);
  expect(lines).toMatchObject([
    {
      operation: 'linearizableReadLoop',
      detail: '{readStateIndex:7; appliedIndex:4; }',
      steps: [
        "'read index received'  (duration: 10ms)",
        "'applied index is now lower than readState.Index'  (duration: 140ms)",
      ],
    },
  ]);
  slow.endReadIndex(60, 70, 7, 4);
  expect(lines).toHaveLength(1);
});

test.each([
  [
    { deleteRange: etcdserverpb.DeleteRangeRequestCodec.create({ key: bytes('foo') }) },
    'header:{ID:7} delete_range:{key:"foo"}',
  ],
  [
    { leaseGrant: { ttl: 100, id: 255n } },
    'header:<ID:7> lease_grant:<ttl:100-second id:00000000000000ff>',
  ],
  [
    { authUserAdd: etcdserverpb.AuthUserAddRequestCodec.create({ name: 'u', password: 'secret' }) },
    'header:{ID:7} auth_user_add:{name:"u"}',
  ],
  [
    {
      authenticate: etcdserverpb.InternalAuthenticateRequestCodec.create({
        ...{ name: 'u', password: 'secret', simpleToken: 'secret' },
      }),
    },
    'header:{ID:7} authenticate:{name:"u"}',
  ],
  [
    { alarm: etcdserverpb.AlarmRequestCodec.create({ action: 1, alarm: 1 }) },
    'header:{ID:7} alarm:{action:ACTIVATE alarm:NOSPACE}',
  ],
])('a request as text, %#', (operation, text) => {
  const request = InternalRaftRequestCodec.create({ header, ...operation });
  expect(entryText(request)).toBe(text);
});

test('a transaction shows sizes in place of values, at any depth', () => {
  const secret = bytes('secret');
  const put = {
    request: {
      case: 'requestPut',
      value: PutRequestCodec.create({ key: bytes('k'), value: secret }),
    },
  } as const;
  const range = {
    request: { case: 'requestRange', value: RangeRequestCodec.create({ key: bytes('a') }) },
  } as const;
  const txn = {
    request: { case: 'requestTxn', value: TxnRequestCodec.create({ success: [put] }) },
  } as const;
  const request = TxnRequestCodec.create({
    compare: [
      CompareCodec.create({ key: bytes('a'), targetUnion: { case: 'version', value: 0 } }),
      CompareCodec.create({
        key: bytes('b'),
        target: 3,
        targetUnion: { case: 'value', value: secret },
      }),
    ],
    success: [put, range, txn],
  });
  expect(txnText(request)).toBe(
    'compare:<key:"a" version:0 target:VALUE key:"b" value_size:6 > ' +
      'success:<request_put:<key:"k" value_size:6 > request_range:{key:"a"} ' +
      'request_txn:<compare:<> success:<request_put:<key:"k" value_size:6 >> failure:<>>> failure:<>',
  );
  expect(rangeText(RangeRequestCodec.create())).toBe('');
});
