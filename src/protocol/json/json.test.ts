// The texts are what etcd v3.7.1's gateway answered, or accepted, when asked by hand.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesFromUtf8, ERROR_CODES, TetcdError, utf8FromBytes } from '../../base/index.ts';
import type { MessageInfo } from '../descriptor.ts';
import {
  etcdserverpb,
  health,
  JsonPrinter,
  JsonSplitter,
  jsonFromMessage,
  jsonFromWire,
  messageFromJson,
  mvccpb,
  wireFromJson,
  wireFromJsonValue,
} from '../index.ts';
import { base64FromBytes, bytesFromBase64 } from './base64.ts';

const HEADER =
  '"header":{"cluster_id":"8639196726871416029","member_id":"14000430938710040825","revision":"3","raft_term":"2"}';

test.each([
  [
    etcdserverpb.PutResponseCodec,
    `{${HEADER},"prev_kv":{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"/+8="}}`,
  ],
  [
    etcdserverpb.RangeResponseCodec,
    `{${HEADER},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"3","version":"2","value":"/+8="}],"count":"1"}`,
  ],
  [etcdserverpb.LeaseGrantResponseCodec, `{${HEADER},"ID":"7587895123456789012","TTL":"100"}`],
  [etcdserverpb.LeaseTimeToLiveResponseCodec, `{${HEADER},"ID":"-1","TTL":"-1"}`],
  [
    etcdserverpb.LeaseLeasesResponseCodec,
    `{${HEADER},"leases":[{"ID":"7587895123456789012"},{"ID":"7587895123456789013"}]}`,
  ],
  [
    etcdserverpb.MemberListResponseCodec,
    '{"header":{"cluster_id":"8639196726871416029","member_id":"14000430938710040825","raft_term":"2"},"members":[{"ID":"14000430938710040825","name":"default","peerURLs":["http://127.0.0.1:21991"],"clientURLs":["http://127.0.0.1:21990"]}]}',
  ],
  [
    etcdserverpb.StatusResponseCodec,
    `{${HEADER},"version":"3.7.1","dbSize":"20480","leader":"14000430938710040825","raftIndex":"8","raftTerm":"2","raftAppliedIndex":"8","dbSizeInUse":"16384","storageVersion":"3.7.0","dbSizeQuota":"2147483648","downgradeInfo":{}}`,
  ],
  [
    etcdserverpb.AlarmResponseCodec,
    `{${HEADER},"alarms":[{"memberID":"18446744073709551615","alarm":"NOSPACE"}]}`,
  ],
  [etcdserverpb.HashResponseCodec, `{${HEADER},"hash":354694611}`],
  [
    etcdserverpb.AuthUserListResponseCodec,
    `{${HEADER},"users":["a\\"\\\\\\u0001\u00e9\u2028\u007f<"]}`,
  ],
  [
    etcdserverpb.AuthRoleGetResponseCodec,
    `{${HEADER},"perm":[{"permType":"READWRITE","key":"YQ==","range_end":"AA=="}]}`,
  ],
  [
    etcdserverpb.WatchResponseCodec,
    `{${HEADER},"watch_id":"-5","events":[{"kv":{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"/+8="}},{"kv":{"key":"Zm9v","create_revision":"2","mod_revision":"3","version":"2","value":"/+8="},"prev_kv":{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"/+8="}}]}`,
  ],
])('$name: what the gateway answers', ({ descriptor }: { descriptor: MessageInfo }, text) => {
  expect(jsonFromWire(descriptor, wireFromJson(descriptor, text))).toBe(text);
});

const { RangeRequestCodec, TxnRequestCodec, LeaseGrantRequestCodec } = etcdserverpb;

test.each([
  ['{"key":"Zm9v","limit":9223372036854775807}', '{"key":"Zm9v","limit":"9223372036854775807"}'],
  [
    '{"limit":"1e1","sort_order":"DESCEND","sortTarget":3}',
    '{"limit":"10","sort_order":"DESCEND","sort_target":"MOD"}',
  ],
  ['{"limit":1.0,"sort_order":"NOPE"}', '{"limit":"1"}'],
  ['{"limit":-1.50e2}', '{"limit":"-150"}'],
  ['{"limit":100e-2}', '{"limit":"1"}'],
  ['{"limit":0e99999999999}', '{}'],
  ['{"limit":"7,8","revision":"9e,"}', '{"limit":"7","revision":"9"}'],
  ['{"max_mod_revision":"-0"}', '{}'],
  ['{"key":"\\u005am9v","a":"\\ud83d\\ude00"}', '{"key":"Zm9v"}'],
  ['{"limit":"-9223372036854775808"}', '{"limit":"-9223372036854775808"}'],
  ['{"sort_order":7}', '{"sort_order":7}'],
  ['{"sort_order":-7}', '{"sort_order":-7}'],
  ['{"key":"Zm9v","range_end":null,"unknown":{"a":[1]},"unknown":1}', '{"key":"Zm9v"}'],
  ['{"key":"Zm9"}', '{"key":"Zm8="}'],
  ['{"key":"Zh=="}', '{"key":"Zg=="}'],
  ['{"key":"Zm\\n9v"}', '{"key":"Zm9v"}'],
  ['{"key":"_-8"}', '{"key":"/+8="}'],
  ['\n {\t"serializable" : true , "keysOnly":false}\r\n', '{"serializable":true}'],
  [
    '{"min_mod_revision":"5","maxCreateRevision":6}',
    '{"min_mod_revision":"5","max_create_revision":"6"}',
  ],
])('a request that the gateway accepts: %s', (text, canonical) => {
  const wire = wireFromJson(RangeRequestCodec.descriptor, text);
  expect(jsonFromWire(RangeRequestCodec.descriptor, wire)).toBe(canonical);
});

test.each([
  ['{"key":"Zm9v","limit":9223372036854775808}', 1, 23, 'int64', 'limit', '9223372036854775808'],
  ['{"limit":1.5}', 1, 10, 'int64', 'limit', '1.5'],
  ['{"limit":" 1"}', 1, 10, 'int64', 'limit', '" 1"'],
  ['{"limit":""}', 1, 10, 'int64', 'limit', '""'],
  ['{"limit":1e19}', 1, 10, 'int64', 'limit', '1e19'],
  ['{"limit":1e999999999}', 1, 10, 'int64', 'limit', '1e999999999'],
  ['{"limit":"1e+,"}', 1, 10, 'int64', 'limit', '"1e+,"'],
  ['{"limit":true}', 1, 10, 'int64', 'limit', 'true'],
  ['{"min_mod_revision":[1]}', 1, 21, 'int64', 'minModRevision', '['],
  ['{\n "serializable":"true"}', 2, 17, 'bool', 'serializable', '"true"'],
  ['{"\u00e9":0,"key":"Zm9v="}', 1, 14, 'bytes', 'key', '"Zm9v="'],
  ['{"key":"Z"}', 1, 8, 'bytes', 'key', '"Z"'],
  ['{"key":"_+8="}', 1, 8, 'bytes', 'key', '"_+8="'],
  ['{"key":"\u00e9AAA"}', 1, 8, 'bytes', 'key', '"\u00e9AAA"'],
  ['{"key":{}}', 1, 8, 'bytes', 'key', '{'],
  ['{"sort_order":2147483648}', 1, 15, 'enum', 'sortOrder', '2147483648'],
])('a value that the gateway refuses: %j', (text, line, column, type, field, raw) => {
  expect(() => wireFromJson(RangeRequestCodec.descriptor, text)).toThrow(
    new TetcdError(
      ERROR_CODES.MALFORMED,
      `proto: (line ${line}:${column}): invalid value for ${type} field ${field}: ${raw}`,
    ),
  );
});

test.each([
  ['{"key":"Zm9v","key":"Zm9v"}', 'proto: (line 1:15): duplicate field "key"'],
  ['{"range_end":"","rangeEnd":""}', 'proto: (line 1:17): duplicate field "rangeEnd"'],
  ['null', 'proto: syntax error (line 1:1): unexpected token null'],
  ['[]', 'proto: syntax error (line 1:1): unexpected token ['],
  [' \n 12', 'proto: syntax error (line 1:1): unexpected token 12'],
  [
    '{"key":"\\ud800 and more"}',
    'proto: syntax error (line 1:8): invalid escape code " and m" in string',
  ],
  ['{"x":"\\ud800"}', 'proto: unexpected EOF'],
  ['"\\ud800"', 'proto: unexpected EOF'],
  ['', 'not one JSON value'],
  ['{} {}', 'not one JSON value'],
  ['{', 'unexpected EOF'],
  ['{"key":"abc\\"}', 'unexpected EOF'],
  ['{"key"}', "invalid character '}' after object key"],
  ['{"key":"Zm9v",}', "invalid character '}' looking for beginning of object key string"],
  ['{"key":"Zm9v" "limit":1}', "invalid character '\"' after object key:value pair"],
  ['{"a":[1 2]}', "invalid character '2' after array element"],
  ['{"a":01}', "invalid character '1' after object key:value pair"],
  ['{"a":nul}', "invalid character '}' in literal null (expecting 'l')"],
  ['{"a":-}', "invalid character '}' in numeric literal"],
  ['{"a":1.}', "invalid character '}' after decimal point in numeric literal"],
  ['{"a":1e}', "invalid character '}' in exponent of numeric literal"],
  ['{"key":"\\x"}', "invalid character 'x' in string escape code"],
  ['{"key":"\\u12g4"}', "invalid character 'g' in \\u hexadecimal character escape"],
  ['{"key":"a\nb"}', "invalid character '\\n' in string literal"],
  ["'", "invalid character '\\'' looking for beginning of value"],
  ['\u00e9', "invalid character '\u00c3' looking for beginning of value"],
])('a text that the gateway refuses: %j', (text, problem) => {
  expect(() => wireFromJson(RangeRequestCodec.descriptor, text)).toThrow(
    new TetcdError(ERROR_CODES.MALFORMED, problem),
  );
});

test('oneofs: one of them, zero or not; never two', () => {
  const text =
    '{"compare":[{"result":"GREATER","key":"Zm9v","version":"0"}],"success":[{"request_range":{}},{}]}';
  const txn = messageFromJson(TxnRequestCodec, text);
  expect(txn.compare[0]?.targetUnion).toEqual({ case: 'version', value: 0 });
  expect(txn.success.map((op) => op.request?.case)).toEqual(['requestRange', undefined]);
  expect(jsonFromMessage(TxnRequestCodec, txn)).toBe(text);
  const two = '{"compare":[{"key":"Zm9v","version":0,"value":"YQ==" }]}';
  expect(() => messageFromJson(TxnRequestCodec, two)).toThrow(
    'proto: (line 1:39): error parsing "value", oneof etcdserverpb.Compare.target_union is already set',
  );
});

test('ids beyond 2^53 stay exact, as numbers too', () => {
  const grant = messageFromJson(LeaseGrantRequestCodec, '{"TTL":100,"ID":7587895123456789013}');
  expect(grant).toEqual({ ttl: 100, id: 7587895123456789013n });
});

test('maps come out sorted and refuse a key twice', () => {
  const codec = health.HealthListResponseCodec;
  const text = '{"statuses":{"":{"status":"SERVING"},"b":{},"a":{"status":"NOT_SERVING"}}}';
  const message = messageFromJson(codec, text);
  expect([...message.statuses.keys()]).toEqual(['', 'b', 'a']);
  expect(jsonFromMessage(codec, message)).toBe(
    '{"statuses":{"":{"status":"SERVING"},"a":{"status":"NOT_SERVING"},"b":{}}}',
  );
  expect(() => messageFromJson(codec, '{"statuses":{"a":{},"a":{}}}')).toThrow(
    'proto: (line 1:21): duplicate map key "a"',
  );
});

test('nesting has a limit', () => {
  const deep = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  expect(wireFromJson(RangeRequestCodec.descriptor, deep(9_999))).toHaveLength(0);
  expect(() => wireFromJson(RangeRequestCodec.descriptor, deep(10_000))).toThrow(
    "invalid character '[' exceeded max depth",
  );
  const txn = (levels: number) =>
    `${'{"success":[{"request_txn":'.repeat(levels)}{}${'}]}'.repeat(levels)}`;
  expect(wireFromJson(TxnRequestCodec.descriptor, txn(400)).length).toBeGreaterThan(400);
  expect(() => wireFromJson(TxnRequestCodec.descriptor, txn(600))).toThrow(
    'proto: exceeded max recursion depth',
  );
});

test('a long string is read', () => {
  const key = new Uint8Array(3_000_000).fill(7);
  const text = jsonFromMessage(RangeRequestCodec, RangeRequestCodec.create({ key }));
  expect(messageFromJson(RangeRequestCodec, text).key.length).toBe(key.length);
});

describe('values in a row', () => {
  const TEXT = ' {"a":"}\\""}\n{"b":[{},-1.5e+3]}"\\u00e9\u00e9" [ ]12 true\tnull 0 -7';
  const VALUES = [
    ...['{"a":"}\\""}', '{"b":[{},-1.5e+3]}', '"\\u00e9\u00e9"', '[ ]', '12'],
    ...['true', 'null', '0', '-7'],
  ];

  test.each([1, 2, 3, 7, 1000])('are told apart in chunks of %i bytes', (size) => {
    const bytes = bytesFromUtf8(TEXT);
    const splitter = new JsonSplitter();
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      for (const value of splitter.push(bytes.subarray(at, at + size))) {
        found.push(utf8FromBytes(value));
      }
    }
    found.push(utf8FromBytes(splitter.end()!));
    expect(found).toEqual(VALUES);
    expect(splitter.end()).toBeUndefined();
    expect(splitter.heldBytes).toBe(0);
  });

  test('are requests one after the other', () => {
    const { descriptor } = LeaseGrantRequestCodec;
    const text = '{"ID":7,"TTL":"5"} {}\n{"TTL":1}';
    const requests = [...new JsonSplitter().push(bytesFromUtf8(text))]
      .map((value) => LeaseGrantRequestCodec.decode(wireFromJsonValue(descriptor, value)))
      .map(({ id, ttl }) => [id, ttl]);
    expect(requests).toEqual([
      [7n, 5],
      [0n, 0],
      [0n, 1],
    ]);
  });

  test('come before what is none', () => {
    const splitter = new JsonSplitter();
    const values = splitter.push(bytesFromUtf8('{}{"a":1}}'));
    expect([values.next().value!.length, values.next().value!.length]).toEqual([2, 7]);
    expect(() => values.next()).toThrow("invalid character '}' looking for beginning of value");
  });

  test('what JSON.parse takes and refuses is taken and refused, byte by byte', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.constantFrom(...'{}[]",:\\ue1-.0tn x'), (json, n, c) => {
        const at = n % (json.length + 1);
        for (const text of [json, json.slice(0, at), json.slice(0, at) + c + json.slice(at)]) {
          expect([text, isOneValue(text)]).toEqual([text, parses(text)]);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function isOneValue(text: string): boolean {
  const splitter = new JsonSplitter();
  let count = 0;
  try {
    const bytes = bytesFromUtf8(text);
    for (let at = 0; at < bytes.length; at++) {
      for (const _ of splitter.push(bytes.subarray(at, at + 1))) count++;
    }
    if (splitter.end() !== undefined) count++;
  } catch {
    return false;
  }
  return count === 1;
}

describe('an answer that comes in pieces', () => {
  const { RangeResponseCodec, TxnResponseCodec } = etcdserverpb;
  const kv = (i: number, size: number) =>
    mvccpb.KeyValueCodec.create({
      key: bytesFromUtf8(`k${i}`),
      value: new Uint8Array(size),
      lease: -1n,
    });
  const range = (sizes: readonly number[]) =>
    RangeResponseCodec.create({
      header: etcdserverpb.ResponseHeaderCodec.create({ revision: 7 }),
      kvs: sizes.map((size, i) => kv(i, size)),
      count: sizes.length,
    });
  const inTxn = TxnResponseCodec.create({
    succeeded: true,
    responses: [[10], [70_000, 1, 0], [], [20_000, 20_000]].map((sizes) => ({
      response: { case: 'responseRange', value: range(sizes) },
    })),
  });

  test.each([
    ['a range', RangeResponseCodec.descriptor, RangeResponseCodec.encode(range([0, 1, 50_000, 9]))],
    ['ranges in a transaction', TxnResponseCodec.descriptor, TxnResponseCodec.encode(inTxn)],
    ['nothing', TxnResponseCodec.descriptor, new Uint8Array(0)],
  ])('%s: the text is the same, and what is kept is little', (_, message, bytes) => {
    const whole = jsonFromWire(message, bytes);
    for (const size of [1000, 64 * 1024, bytes.length + 1]) {
      const printer = new JsonPrinter(message);
      let text = '';
      for (let at = 0; at < bytes.length; at += size) {
        text += printer.push(bytes.subarray(at, at + size));
      }
      expect(text + printer.end()).toBe(whole);
    }
  });

  test('that ends too early is refused', () => {
    const bytes = RangeResponseCodec.encode(range([50_000]));
    for (const length of [1, 5, 60, bytes.length - 1]) {
      const printer = new JsonPrinter(RangeResponseCodec.descriptor);
      printer.push(bytes.subarray(0, length));
      expect(() => printer.end()).toThrow('it ends within a field');
    }
  });
});

test('base64 equals the runtime own, for every length and byte', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (let length = 0; length <= all.length; length++) {
    const part = all.subarray(0, length);
    const buffer = Buffer.from(part);
    expect(base64FromBytes(part)).toBe(buffer.toString('base64'));
    expect(bytesFromBase64(buffer.toString('base64'))).toEqual(part);
    expect(bytesFromBase64(buffer.toString('base64url'))).toEqual(part);
  }
});
