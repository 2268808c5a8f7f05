// The texts are what etcd v3.7.1's gateway answered, or accepted, when asked by hand.

import { expect, test } from 'vitest';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { MessageInfo } from '../descriptor.ts';
import {
  etcdserverpb,
  health,
  jsonFromMessage,
  jsonFromWire,
  jsonObjectEnd,
  messageFromJson,
  wireFromJson,
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
  ['{"key":"Zm9v","limit":9223372036854775808}', 'RangeRequest.limit at 1:23: no int64'],
  ['{"limit":1.5}', 'RangeRequest.limit at 1:10: no int64'],
  ['{"limit":" 1"}', 'RangeRequest.limit at 1:10: no int64'],
  ['{"limit":""}', 'RangeRequest.limit at 1:10: no int64'],
  ['{"limit":1e19}', 'RangeRequest.limit at 1:10: no int64'],
  ['{"limit":1e999999999}', 'RangeRequest.limit at 1:10: no int64'],
  ['{"limit":true}', 'RangeRequest.limit at 1:10: no int64'],
  ['{"key":"Zm9v","key":"Zm9v"}', 'RangeRequest.key at 1:15: given twice'],
  ['{"range_end":"","rangeEnd":""}', 'RangeRequest.range_end at 1:17: given twice'],
  ['{\n "serializable":"true"}', 'RangeRequest.serializable at 2:17: no bool'],
  ['{"key":"Zm9v="}', 'RangeRequest.key at 1:8: no bytes'],
  ['{"key":"Z"}', 'RangeRequest.key at 1:8: no bytes'],
  ['{"key":"_+8="}', 'RangeRequest.key at 1:8: no bytes'],
  ['{"key":"\u00e9AAA"}', 'RangeRequest.key at 1:8: no bytes'],
  ['{"sort_order":2147483648}', 'RangeRequest.sort_order at 1:15: no enum'],
  ['null', 'RangeRequest at 1:1: expected an object'],
  ['[]', 'RangeRequest at 1:1: expected an object'],
  ['', 'RangeRequest at 1:1: expected a value'],
  ['{', 'RangeRequest at 1:2: expected a string'],
  ['{"key"}', 'RangeRequest at 1:7: expected a colon'],
  ['{"key":"Zm9v",}', 'RangeRequest at 1:15: expected a string'],
  ['{"key":"Zm9v" "limit":1}', 'RangeRequest at 1:15: expected a comma or a closing brace'],
  ['{"a":[1 2]}', 'RangeRequest at 1:9: expected a comma or a closing bracket'],
  ['{"a":01}', 'RangeRequest at 1:7: expected a comma or a closing brace'],
  ['{"a":nul}', 'RangeRequest at 1:6: expected a value'],
  ['{} {}', 'RangeRequest at 1:4: text after the value'],
  ['{"key":"\\ud800"}', 'RangeRequest at 1:8: half a surrogate pair'],
  ['{"key":"\\x"}', 'RangeRequest at 1:8: bad escape'],
  ['{"key":"a\nb"}', 'RangeRequest at 1:8: expected a string'],
  ['{"key":"abc\\"}', 'RangeRequest at 1:8: expected a string'],
])('a request that the gateway refuses: %j', (text, problem) => {
  expect(() => wireFromJson(RangeRequestCodec.descriptor, text)).toThrow(
    new TetcdError(ERROR_CODES.MALFORMED, `etcdserverpb.${problem}`),
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
    'etcdserverpb.TxnRequest.compare.value at 1:39: another one is given too',
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
  expect(() => messageFromJson(codec, '{"statuses":{"a":{},"a":{}}}')).toThrow('key given twice');
});

test('nesting has a limit', () => {
  const deep = `{"a":${'['.repeat(5000)}`;
  expect(() => wireFromJson(RangeRequestCodec.descriptor, deep)).toThrow('nested too deeply');
});

test('a long string is read', () => {
  const key = new Uint8Array(3_000_000).fill(7);
  const text = jsonFromMessage(RangeRequestCodec, RangeRequestCodec.create({ key }));
  expect(messageFromJson(RangeRequestCodec, text).key.length).toBe(key.length);
});

test('several objects in a row are told apart', () => {
  const text = ' {"a":"}\\""}\n{"b":[{}]}{"c":';
  const first = jsonObjectEnd(text, 0);
  expect(text.slice(0, first)).toBe(' {"a":"}\\""}');
  const second = jsonObjectEnd(text, first ?? 0);
  expect(text.slice(first, second)).toBe('\n{"b":[{}]}');
  expect(jsonObjectEnd(text, second ?? 0)).toBeUndefined();
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
