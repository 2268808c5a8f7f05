// Requests in shapes that no client library writes and a real member may yet accept and log. Seeded.

import { bytesFromLatin1, type Random } from '../../src/base/index.ts';
import { etcdserverpb, putInt, sizeOfUint } from '../../src/protocol/index.ts';
import { mutated } from '../../src/protocol/wire/mutation.fixture.ts';

const {
  AlarmRequestCodec,
  CompactionRequestCodec,
  CompareCodec,
  DeleteRangeRequestCodec,
  LeaseGrantRequestCodec,
  LeaseRevokeRequestCodec,
  PutRequestCodec,
  RangeRequestCodec,
  RequestOpCodec,
  TxnRequestCodec,
} = etcdserverpb;

export interface OddRequest {
  readonly rpc: string;
  readonly bytes: Buffer;
}

function request(rpc: string, hex: string): OddRequest {
  return { rpc, bytes: Buffer.from(hex.replaceAll(' ', ''), 'hex') };
}

/** Accepted by 3.7.1; of these 3.5.16 accepts the unknown groups only. */
export const KNOWN_ODD: Readonly<Record<string, OddRequest>> = {
  'put: lease as fixed64': request('KV/Put', '0a026b31 12027631 19 0100000000000000'),
  'put: lease as an empty group': request('KV/Put', '0a026b32 12027632 1b1c'),
  'put: an unknown group 2,000 deep': request(
    'KV/Put',
    `0a026b33 12027633 ${'8b06'.repeat(2_000)} ${'8c06'.repeat(2_000)}`,
  ),
  'put: an unknown group 10,001 deep': request(
    'KV/Put',
    `0a026b34 12027634 ${'8b06'.repeat(10_001)} ${'8c06'.repeat(10_001)}`,
  ),
  'txn: the result of a comparison as fixed32': request(
    'KV/Txn',
    '0a09 1a026b35 0d00000000 120a 1208 0a026b35 12027635',
  ),
  'txn: a put in two parts': request('KV/Txn', '120c 1204 0a026b36 1204 12027636'),
  'lease grant: the id as bytes': request('Lease/LeaseGrant', '08e807 120178'),
};

/** A put within so many transactions. */
export function deepTxn(levels: number): OddRequest {
  const reversed = [...PutRequestCodec.encode(PutRequestCodec.create({ key: DEEP_KEY }))].reverse();
  const wrap = (tag: number): void => {
    const length = new Uint8Array(sizeOfUint(reversed.length));
    putInt(reversed.length, length, length.length);
    reversed.push(...length.reverse(), tag);
  };
  wrap(TAG_REQUEST_PUT);
  for (let level = 1; level < levels; level++) {
    wrap(TAG_SUCCESS);
    wrap(TAG_REQUEST_TXN);
  }
  wrap(TAG_SUCCESS);
  return { rpc: 'KV/Txn', bytes: Buffer.from(reversed.reverse()) };
}

const DEEP_KEY = bytesFromLatin1('deep');
const TAG_SUCCESS = 0x12;
const TAG_REQUEST_PUT = 0x12;
const TAG_REQUEST_TXN = 0x22;

/** One of the requests that go to the log, mutated. */
export function oddRequest(random: Random): OddRequest {
  for (;;) {
    const [rpc, plain] = usualRequest(random);
    const bytes = random.below(8) === 0 ? plain : mutated(plain, random);
    // An alarm that is raised refuses all that follows, and real members stop at some actions.
    if (rpc !== 'Maintenance/Alarm' || actionOf(bytes) === ALARM_GET) {
      return { rpc, bytes: Buffer.from(bytes) };
    }
  }
}

/** Whether the message cannot be read, as etcd 3.7 sees it. */
export function isMalformed({ rpc, bytes }: OddRequest): boolean {
  try {
    CODECS[rpc]!.decodeRequest(bytes);
    return false;
  } catch {
    return true;
  }
}

const CODECS: Readonly<Record<string, { decodeRequest(bytes: Uint8Array): unknown }>> = {
  'KV/Put': PutRequestCodec,
  'KV/Txn': TxnRequestCodec,
  'KV/DeleteRange': DeleteRangeRequestCodec,
  'KV/Compact': CompactionRequestCodec,
  'Lease/LeaseGrant': LeaseGrantRequestCodec,
  'Lease/LeaseRevoke': LeaseRevokeRequestCodec,
  'Maintenance/Alarm': AlarmRequestCodec,
};

const ALARM_GET = 0;

function actionOf(bytes: Uint8Array): number | undefined {
  try {
    return AlarmRequestCodec.decode(bytes).action;
  } catch {
    return undefined;
  }
}

function usualRequest(random: Random): [rpc: string, bytes: Uint8Array] {
  const id = BigInt(1 + random.below(20));
  switch (random.below(12)) {
    case 0:
      return ['KV/DeleteRange', DeleteRangeRequestCodec.encode(deletion(random))];
    case 1:
      return ['Lease/LeaseGrant', LeaseGrantRequestCodec.encode({ ttl: 3_000, id })];
    case 2:
      return ['Lease/LeaseRevoke', LeaseRevokeRequestCodec.encode({ id })];
    case 3: {
      const revision = random.below(40);
      return [
        'KV/Compact',
        CompactionRequestCodec.encode({ revision, physical: random.below(2) === 0 }),
      ];
    }
    case 4:
      return ['Maintenance/Alarm', AlarmRequestCodec.encode(AlarmRequestCodec.create())];
    case 5:
    case 6:
    case 7:
    case 8:
      return ['KV/Txn', TxnRequestCodec.encode(transaction(random, 3))];
    default:
      return ['KV/Put', PutRequestCodec.encode(put(random))];
  }
}

function someKey(random: Random): Uint8Array {
  return bytesFromLatin1(`key${random.below(9)}`);
}

function put(random: Random): etcdserverpb.PutRequest {
  return PutRequestCodec.create({
    key: someKey(random),
    value: bytesFromLatin1('v'.repeat(random.below(5))),
    lease: BigInt(random.below(4) === 0 ? random.below(20) : 0),
    prevKv: random.below(2) === 0,
    ignoreLease: random.below(8) === 0,
  });
}

function deletion(random: Random): etcdserverpb.DeleteRangeRequest {
  const rangeEnd = random.below(2) === 0 ? someKey(random) : bytesFromLatin1('');
  return DeleteRangeRequestCodec.create({ key: someKey(random), rangeEnd, prevKv: true });
}

function transaction(random: Random, depth: number): etcdserverpb.TxnRequest {
  const several = <T>(make: () => T): T[] => Array.from({ length: random.below(3) }, make);
  const operation = (): etcdserverpb.RequestOp => {
    const kind = random.below(depth > 1 ? 5 : 3);
    const key = someKey(random);
    if (kind === 0) {
      const value = RangeRequestCodec.create({ key });
      return RequestOpCodec.create({ request: { case: 'requestRange', value } });
    }
    if (kind === 1) {
      const value = deletion(random);
      return RequestOpCodec.create({ request: { case: 'requestDeleteRange', value } });
    }
    if (kind === 2) {
      return RequestOpCodec.create({ request: { case: 'requestPut', value: put(random) } });
    }
    const value = transaction(random, depth - 1);
    return RequestOpCodec.create({ request: { case: 'requestTxn', value } });
  };
  const compare = (): etcdserverpb.Compare =>
    CompareCodec.create({
      key: someKey(random),
      target: random.below(4),
      result: random.below(4),
      targetUnion: { case: 'version', value: random.below(3) },
    });
  return TxnRequestCodec.create({
    compare: several(compare),
    success: several(operation),
    failure: several(operation),
  });
}
