// Hand cases of the wire format: what is accepted in more than one form, and the text of each refusal.

import { expect, test } from 'vitest';
import { ERROR_CODES, type ErrorCode, hasCode, TetcdError } from '../../base/index.ts';
import {
  etcdserverpb,
  type GeneratedCodec,
  MESSAGE_NESTING_MAX,
  membershippb,
  mvccpb,
  putInt,
  raftpb,
  sizeOfUint,
  walpb,
  wasPlain,
} from '../index.ts';

const {
  CompareCodec,
  InternalRaftRequestCodec,
  PutRequestCodec,
  RangeRequestCodec,
  RequestCodec,
  ResponseHeaderCodec,
  TxnRequestCodec,
  WatchCreateRequestCodec,
  WatchResponseCodec,
} = etcdserverpb;

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/[0-9a-f]{2}/g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function hex(value: Uint8Array): string {
  return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

interface AnyCodec {
  decode(bytes: Uint8Array): unknown;
  decodeRequest(bytes: Uint8Array): unknown;
}

function refusal(codec: AnyCodec, input: Uint8Array): { code: ErrorCode; text: string } {
  try {
    codec.decodeRequest(input);
  } catch (error) {
    if (error instanceof TetcdError) return { code: error.code, text: error.message };
    throw error;
  }
  return expect.fail(`${hex(input)} was accepted`);
}

test.each([
  ['truncated tag', PutRequestCodec, '80', 'PutRequest at byte 0: truncated'],
  ['truncated varint', RangeRequestCodec, '18ff', 'RangeRequest.limit at byte 1: truncated'],
  ['no varint', RangeRequestCodec, '18', 'RangeRequest.limit at byte 1: truncated'],
  [
    'length past the end',
    PutRequestCodec,
    '0a0361',
    'PutRequest.key at byte 1: length 3 exceeds the 1 bytes left',
  ],
  [
    'length past the inner end',
    TxnRequestCodec,
    '12041205 0a03616263',
    'TxnRequest.success.request_put at byte 3: length 5 exceeds the 2 bytes left',
  ],
  [
    'varint past the inner end',
    TxnRequestCodec,
    '0a0208ff01',
    'TxnRequest.compare.result at byte 3: truncated',
  ],
  [
    'huge length',
    PutRequestCodec,
    '0affffffffffffffff7f',
    'PutRequest.key at byte 1: length 9223372036854776000 exceeds the 0 bytes left',
  ],
  ['field number 0', PutRequestCodec, '0001', 'PutRequest.0 at byte 0: bad field number'],
  [
    'field number too large',
    PutRequestCodec,
    '8080808010 00',
    'PutRequest.536870912 at byte 0: bad field number',
  ],
  ['wire type 6', PutRequestCodec, '7e', 'PutRequest.15 at byte 0: unexpected wire type 6'],
  [
    'a group that begins with its end',
    PutRequestCodec,
    '7c',
    'PutRequest.15 at byte 0: unexpected wire type 4',
  ],
  ['a group without an end', PutRequestCodec, '7b', 'PutRequest.15 at byte 1: truncated'],
  [
    'a group with another end',
    PutRequestCodec,
    '7b74',
    'PutRequest.15 at byte 1: group ends with another number',
  ],
  ['fixed64 cut', PutRequestCodec, '7900', 'PutRequest.15 at byte 1: truncated'],
  [
    'varint of eleven bytes',
    RangeRequestCodec,
    '18ffffffffffffffffffff01',
    'RangeRequest.limit at byte 1: varint exceeds 64 bits',
  ],
  [
    'varint of 65 bits',
    RangeRequestCodec,
    '18ffffffffffffffffff02',
    'RangeRequest.limit at byte 1: varint exceeds 64 bits',
  ],
] as const)('%s is refused', (_, codec, input, text) => {
  const found = refusal(codec as AnyCodec, bytes(input));
  expect(found.code).toBe(ERROR_CODES.MALFORMED);
  expect(found.text).toContain(`etcdserverpb.${text}`);
});

test.each(['80', 'c0af', 'c3', 'e282', 'eda080', 'f0808080', 'f4908080', 'ff', 'e28228'])(
  'text with the bytes %s is no UTF-8',
  (text) => {
    const input = bytes(`0a${(text.length / 2 + 1).toString(16).padStart(2, '0')}61${text}`);
    expect(refusal(etcdserverpb.AuthRoleGetRequestCodec, input).text).toBe(
      'etcdserverpb.AuthRoleGetRequest.role at byte 2: invalid UTF-8',
    );
  },
);

test('the text of U+FFFD itself and of every length of UTF-8 is read', () => {
  const role = 'a\u00e9\u20ac\ufffd\u{1f600}';
  const codec = etcdserverpb.AuthRoleGetRequestCodec;
  expect(codec.decode(codec.encode({ role })).role).toBe(role);
});

test.each([
  ['int64 least', '18 80808080808080808001', -(2 ** 53)],
  ['int64 most', '18 ffffffffffffffff7f', 2 ** 53],
  ['2^53 + 1', '18 8180808080808010', 2 ** 53],
  ['2^53 - 1', '18 ffffffffffffff0f', 2 ** 53 - 1],
  ['-1', '18 ffffffffffffffffff01', -1],
  ['-2^53 + 1', '18 81808080808080f0ff01', -(2 ** 53) + 1],
  ['zero, written', '18 00', 0],
  ['one in ten bytes', '18 81808080808080808000', 1],
])('a clamped integer: %s', (_, input, limit) => {
  expect(RangeRequestCodec.decode(bytes(input)).limit).toBe(limit);
});

test('what a clamp gives encodes to the bound', () => {
  const clamped = RangeRequestCodec.decode(bytes('18 ffffffffffffffff7f 20 80808080808080808001'));
  const again = RangeRequestCodec.decode(RangeRequestCodec.encode(clamped));
  expect([again.limit, again.revision]).toEqual([2 ** 53, -(2 ** 53)]);
});

test.each([
  ['int64 above', mvccpb.KeyValueCodec, '10 8080808080808010'],
  ['int64 below', mvccpb.KeyValueCodec, '10 80808080808080f0ff01'],
  ['uint64 2^53', raftpb.EntryCodec, '18 8080808080808010'],
  ['uint64 most', raftpb.EntryCodec, '18 ffffffffffffffffff01'],
])('a count beyond 2^53-1 is refused: %s', (_, codec, input) => {
  const found = refusal(codec as AnyCodec, bytes(input));
  expect(found.code).toBe(ERROR_CODES.NUMBER_TOO_LARGE);
  expect(found.text).toMatch(/\.(create_revision|Index) at byte 1: number beyond 2\^53-1$/);
});

test('counts reach 2^53-1 and below zero', () => {
  const kv = mvccpb.KeyValueCodec.create({
    createRevision: 2 ** 53 - 1,
    modRevision: -(2 ** 53) + 1,
  });
  const read = mvccpb.KeyValueCodec.decode(mvccpb.KeyValueCodec.encode(kv));
  expect([read.createRevision, read.modRevision]).toEqual([2 ** 53 - 1, -(2 ** 53) + 1]);
});

test('ids are exact over all 64 bits', () => {
  for (const id of [-1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, 1n]) {
    const put = PutRequestCodec.create({ lease: id });
    expect(PutRequestCodec.decode(PutRequestCodec.encode(put)).lease).toBe(id);
  }
  for (const id of [2n ** 64n - 1n, 2n ** 63n, 2n ** 32n, 1n]) {
    const header = ResponseHeaderCodec.create({ clusterId: id });
    expect(ResponseHeaderCodec.decode(ResponseHeaderCodec.encode(header)).clusterId).toBe(id);
  }
  const response = WatchResponseCodec.create({ watchId: -1n });
  expect(hex(WatchResponseCodec.encode(response))).toBe('10ffffffffffffffffff01');
});

test('enums: unknown and negative numbers stay', () => {
  expect(RangeRequestCodec.decode(bytes('28 63')).sortOrder).toBe(99);
  const read = RangeRequestCodec.decode(bytes('28 ffffffffffffffffff01'));
  expect(read.sortOrder).toBe(-1);
  expect(hex(RangeRequestCodec.encode(read))).toBe('28ffffffffffffffffff01');
});

test('a bool is true if any bit is set', () => {
  expect(RangeRequestCodec.decode(bytes('38 02')).serializable).toBe(true);
  expect(RangeRequestCodec.decode(bytes('38 8080808080808080 8001')).serializable).toBe(true);
  expect(RangeRequestCodec.decode(bytes('38 8000')).serializable).toBe(false);
});

test('a later scalar wins; a later message merges; a later choice of a oneof replaces', () => {
  expect(RangeRequestCodec.decode(bytes('18 05 18 00')).limit).toBe(0);
  const response = etcdserverpb.PutResponseCodec.decode(bytes('0a 02 1805 0a 02 2007 0a 02 1806'));
  expect(response.header).toMatchObject({ revision: 6, raftTerm: 7 });
  const merged = etcdserverpb.RequestOpCodec.decode(bytes('12 03 0a0161 12 03 120162'));
  expect(merged.request).toMatchObject({
    case: 'requestPut',
    value: { key: bytes('61'), value: bytes('62') },
  });
  const replaced = etcdserverpb.RequestOpCodec.decode(bytes('12 03 0a0161 0a 00'));
  expect(replaced.request?.case).toBe('requestRange');
});

test('repeated numbers are read packed, unpacked and mixed', () => {
  const filters = [1, 0, 1, 1];
  for (const input of ['2a 04 01000101', '28 01 28 00 28 01 28 01', '28 01 2a 02 0001 28 01']) {
    expect(WatchCreateRequestCodec.decode(bytes(input)).filters).toEqual(filters);
  }
  const voters = [1n, 300n];
  for (const input of ['08 01 08 ac02', '0a 03 01ac02']) {
    expect(raftpb.ConfStateCodec.decode(bytes(input)).voters).toEqual(voters);
  }
  expect(hex(raftpb.ConfStateCodec.encode(raftpb.ConfStateCodec.create({ voters })))).toBe(
    '080108ac022800',
  );
});

test('a oneof remembers a zero', () => {
  const compare = CompareCodec.decode(bytes('20 00'));
  expect(compare.targetUnion).toEqual({ case: 'version', value: 0 });
  expect(hex(CompareCodec.encode(compare))).toBe('2000');
});

test('unknown fields of every wire type are skipped', () => {
  const unknown = '78 ff01 79 0102030405060708 7a 02 0102 7b 08 01 0a 01 61 7b 7c 7c 7d 01020304';
  expect(PutRequestCodec.decode(bytes(`0a 01 6b ${unknown} 12 01 76`))).toMatchObject({
    key: bytes('6b'),
    value: bytes('76'),
  });
});

test('bytes are a view of the buffer, whatever part of it the message takes', () => {
  const buffer = bytes('ffff 0a 02 6162 ff');
  const put = PutRequestCodec.decode(buffer.subarray(1), 1, 5);
  expect(put.key.buffer).toBe(buffer.buffer);
  expect(hex(put.key)).toBe('6162');
});

/** A transaction in a transaction and so on: that many messages within each other. */
function nestedTxn(levels: number): Uint8Array {
  const content: number[] = [];
  for (let outer = levels - 1; outer >= 1; outer--) {
    const length = new Uint8Array(sizeOfUint(content.length));
    putInt(content.length, length, length.length);
    content.push(...length.reverse(), outer % 2 === 1 ? 0x12 : 0x22);
  }
  return Uint8Array.from(content.reverse());
}

function levelsOf(message: etcdserverpb.TxnRequest): number {
  let levels = 1;
  for (let txn = message; ; levels += 2) {
    const op = txn.success[0];
    if (op === undefined) return levels;
    if (op.request?.case !== 'requestTxn') return levels + 1;
    txn = op.request.value;
  }
}

test('messages nest up to the limit and no deeper, whatever the stack', () => {
  for (const levels of [3, 998, 999, 1_000, 1_001, 1_002, 4_321, MESSAGE_NESTING_MAX]) {
    const bytes = nestedTxn(levels);
    for (const message of [TxnRequestCodec.decode(bytes), TxnRequestCodec.decodeRequest(bytes)]) {
      expect(levelsOf(message)).toBe(levels);
    }
    expect(wasPlain()).toBe(true);
  }
  const tooDeep = nestedTxn(MESSAGE_NESTING_MAX + 1);
  expect(refusal(TxnRequestCodec, tooDeep).text).toMatch(
    /^etcdserverpb\.TxnRequest(\.success\.request_txn)+.* at byte \d+: nested too deeply$/,
  );
  expect(() => TxnRequestCodec.decode(tooDeep)).toThrow('nested too deeply');
  const deepest = nestedTxn(600);
  expect(hex(TxnRequestCodec.encode(TxnRequestCodec.decode(deepest)))).toBe(hex(deepest));
});

test('what is read late merges as what is read at once', () => {
  const inner = '12 05 1203 0a0161'.replaceAll(' ', '');
  const other = '12 05 1203 120162'.replaceAll(' ', '');
  const twice = `22${size(inner)}${inner}22${size(other)}${other}`;
  let text = twice;
  for (let level = 0; level < 700; level++) {
    text = `12${size(text)}${text}`;
    if (level < 699) text = `22${size(text)}${text}`;
  }
  let txn = TxnRequestCodec.decode(bytes(text));
  for (let level = 0; level < 700; level++) {
    const op = txn.success[0]!.request;
    if (op?.case !== 'requestTxn') return expect.fail(`no transaction at level ${level}`);
    txn = op.value;
  }
  expect(txn.success.map((op) => op.request)).toMatchObject([
    { case: 'requestPut', value: { key: bytes('61') } },
    { case: 'requestPut', value: { value: bytes('62') } },
  ]);
  expect(wasPlain()).toBe(false);
  expect(() => TxnRequestCodec.decodeRequest(bytes(text))).toThrow('nested too deeply');
});

/** Of a hex text, as a varint in hex. */
function size(text: string): string {
  const length = text.length / 2;
  const target = new Uint8Array(sizeOfUint(length));
  putInt(length, target, target.length);
  return hex(target);
}

function group(levels: number): string {
  return `0a 01 6b ${'8b06'.repeat(levels)} ${'8c06'.repeat(levels)} 12 01 76`;
}

// What etcd 3.7.1 (google.golang.org/protobuf) and etcd 3.5.16 (gogo/protobuf) make of it, tried with
// both: the canonical form of what they read, or undefined for a refusal.
test.each([
  { what: 'a varint as fixed64', input: '0a016b 19 0100000000000000', in37: '0a016b' },
  { what: 'a varint as fixed32', input: '0a016b 1d 01000000', in37: '0a016b' },
  { what: 'a varint as bytes', input: '0a016b 1a 0178', in37: '0a016b' },
  { what: 'bytes as a varint', input: '08 01 120176', in37: '120176' },
  { what: 'a known field as a group', input: '0a016b 1b 1c', in37: '0a016b' },
  { what: 'a known field as a group with itself', input: '1b 1801 1c 0a016b', in37: '0a016b' },
  { what: 'a tag in two bytes', input: '8a00 016b', in37: '0a016b', in35: '0a016b' },
  {
    what: 'a length in ten bytes',
    input: '0a 81808080808080808000 6b',
    in37: '0a016b',
    in35: '0a016b',
  },
  { what: 'groups 2,000 deep', input: group(2_000), in37: '0a016b120176', in35: '0a016b120176' },
  { what: 'groups 10,001 deep', input: group(10_001), in37: '0a016b120176', in35: '0a016b120176' },
  { what: 'groups 10,002 deep', input: group(10_002), in35: '0a016b120176' },
  { what: 'groups 200,000 deep', input: group(200_000), in35: '0a016b120176' },
  { what: 'a group that ends as another', input: '0a016b 7b 74', in35: '0a016b' },
  { what: 'a field 2^29', input: '8080808010 00 0a016b', in35: '0a016b' },
  { what: 'a field 2^32 + 1', input: '8a80808080 01 016b', in35: '0a016b' },
  {
    what: 'a tenth byte of more than a bit',
    input: '18 ffffffffffffffffff7f',
    in35: '18ffffffffffffffffff01',
  },
  { what: 'an eleventh byte', input: '18 ffffffffffffffffffff01' },
  { what: 'field 0', input: '00 01' },
  { what: 'a field of negative number', input: '8080808040 00' },
  { what: 'a group without an end', input: '7b 7b 7c' },
  { what: 'an end without a group', input: '7c' },
] as const)('as etcd reads it: $what', ({ input, ...read }) => {
  const in37 = 'in37' in read ? read.in37 : undefined;
  const in35 = 'in35' in read ? read.in35 : undefined;
  const raw = bytes(input);
  const forms = [
    PutRequestCodec.decodeRequest.bind(PutRequestCodec),
    PutRequestCodec.decode.bind(PutRequestCodec),
  ];
  const [strict, lenient] = forms.map((decode) => {
    try {
      return hex(PutRequestCodec.encode(decode(raw)));
    } catch (error) {
      if (hasCode(error, ERROR_CODES.MALFORMED)) return undefined;
      throw error;
    }
  });
  expect(strict).toBe(in37);
  expect(lenient).toBe(in37 ?? in35);
  if (in37 !== undefined) {
    PutRequestCodec.decodeRequest(raw);
    expect(wasPlain()).toBe(in35 !== undefined);
  }
});

test('text that is no UTF-8 is read from the log, where releases up to 3.6 put it', () => {
  const codec = membershippb.ClusterMemberAttrSetRequestCodec;
  const read = codec.decode(bytes('12 04 0a 02 61ff'));
  expect(read.memberAttributes?.name).toBe('a\ufffd');
});

test('raft messages: zero fields may be written or left out', () => {
  const old = raftpb.EntryCodec.decode(bytes('0800 1002 1803 2200'));
  expect(old).toEqual(raftpb.EntryCodec.decode(bytes('1002 1803')));
  expect(hex(raftpb.EntryCodec.encode(old))).toBe('10021803');
  expect(hex(raftpb.HardStateCodec.encode(raftpb.HardStateCodec.create()))).toBe('080010001800');
  expect(hex(walpb.SnapshotCodec.encode(walpb.SnapshotCodec.create()))).toBe('08001000');
  expect(hex(walpb.RecordCodec.encode(walpb.RecordCodec.create({ type: 4 })))).toBe('08041000');
  expect(walpb.SnapshotCodec.decode(bytes(''))).toEqual(walpb.SnapshotCodec.create());
});

// As etcd 3.4 logs it when a member publishes its name.
const V2_PUT =
  '0801 1203505554 1a012f 2200 2800 3200 3800 4800 5000 5800 6000 6800 7000 7800 800100';

test('a v2 request writes every field but PrevExist and Refresh', () => {
  const request = RequestCodec.decode(bytes(V2_PUT));
  expect(request).toMatchObject({ id: 1n, method: 'PUT', path: '/', val: '' });
  expect([request.prevExist, request.refresh]).toEqual([undefined, undefined]);
  expect(hex(RequestCodec.encode(request))).toBe(hex(bytes(V2_PUT)));
  request.prevExist = false;
  request.refresh = true;
  expect(RequestCodec.decode(RequestCodec.encode(request))).toEqual(request);
});

test('field 2 of a log entry is a v2 request, and unknown fields are told', () => {
  const v2 = bytes(V2_PUT);
  const entry = Uint8Array.of(0x12, v2.length, ...v2, 0xf8, 0x7f, 0x01, 0x62, 0x00);
  const request = InternalRaftRequestCodec.decode(entry);
  expect(request.v2?.method).toBe('PUT');
  expect(request.unknownFields).toEqual([2047, 12]);
  expect(hex(InternalRaftRequestCodec.encode(request))).toBe(hex(entry.subarray(0, -5)));
});

test('a message cut within a nested one is refused even where the buffer goes on', () => {
  const codec: GeneratedCodec<etcdserverpb.PutRequest, etcdserverpb.PutRequestInit> =
    PutRequestCodec;
  const whole = bytes('0a 03 616263');
  let caught: unknown;
  try {
    codec.decode(whole, 0, 4);
  } catch (error) {
    caught = error;
  }
  expect(hasCode(caught, ERROR_CODES.MALFORMED)).toBe(true);
  expect(codec.decode(whole).key.length).toBe(3);
});
