// What the loader asks for: lists of requests, encoded before the clock runs.

import { type Random, seededRandom } from '../../src/base/index.ts';
import { encode, type Message } from '../../test/helpers/api.ts';

export const VALUE_BYTES = 256;
/** Of a large value. */
export const LARGE_BYTES = 100_000;

/** Key number `i` of a prepared directory: of the length and form of a Kubernetes object's. */
export function keyOf(i: number): string {
  return `/registry/pods/namespace-${i % 10}/workload-${String(i).padStart(9, '0')}`;
}

/** What is right below all keys of a namespace; there are ten. */
export const NAMESPACE = (n: number): string => `/registry/pods/namespace-${n}/`;

export interface Workload {
  readonly path: string;
  /** gRPC messages with their prefix, used in turn. */
  readonly messages: readonly Buffer[];
  /** How much the i-th message raises the revision. */
  readonly raises: (i: number) => number;
  /** Fewer response bytes than this are an error. */
  readonly responseBytesMin: number;
}

export interface WorkloadOptions {
  readonly name: WorkloadName;
  /** Keys in the prepared directory. */
  readonly keys: number;
  /** Different requests to prepare. */
  readonly requests: number;
  readonly seed: number;
  /** Current revision, and how far back to read for `page-past`. */
  readonly revision: number;
  readonly back: number;
}

/** For workloads that do not read the past. */
export const NOW = { revision: 0, back: 0 } as const;

export type WorkloadName =
  | 'put'
  | 'put-large'
  | 'range-one'
  | 'range-one-serializable'
  | 'range-1000'
  | 'range-all'
  | 'page-large'
  | 'page-now'
  | 'page-past'
  | 'txn-mix';

export function grpcMessage(type: string, message: Message): Buffer {
  const body = encode(type, message);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

export function randomValue(random: Random, size = VALUE_BYTES): string {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) bytes[i] = random.below(256);
  return bytes.toString('latin1');
}

const none = (): number => 0;

export function makeWorkload(options: WorkloadOptions): Workload {
  const random = seededRandom(options.seed);
  const anyKey = (): string => keyOf(random.below(options.keys));
  const list = (make: (i: number) => Buffer, count = options.requests): Buffer[] =>
    Array.from({ length: count }, (_, i) => make(i));
  const range = (more: () => Message, responseBytesMin: number, count?: number): Workload => ({
    path: '/etcdserverpb.KV/Range',
    messages: list(() => grpcMessage('RangeRequest', more()), count),
    raises: none,
    responseBytesMin,
  });
  switch (options.name) {
    case 'put':
      return {
        path: '/etcdserverpb.KV/Put',
        messages: list(() =>
          grpcMessage('PutRequest', { key: anyKey(), value: randomValue(random) }),
        ),
        raises: () => 1,
        responseBytesMin: 10,
      };
    case 'put-large':
      return {
        path: '/etcdserverpb.KV/Put',
        messages: list(
          () =>
            grpcMessage('PutRequest', { key: anyKey(), value: randomValue(random, LARGE_BYTES) }),
          100,
        ),
        raises: () => 1,
        responseBytesMin: 10,
      };
    case 'range-one':
      return range(() => ({ key: anyKey() }), VALUE_BYTES);
    case 'range-one-serializable':
      return range(() => ({ key: anyKey(), serializable: true }), VALUE_BYTES);
    case 'range-1000':
      return range(() => thousand(random, options.keys), rangeBytes(options.keys), 1000);
    case 'range-all':
      return range(() => EVERYTHING, options.keys * VALUE_BYTES, 1);
    case 'page-large':
      return range(() => EVERYTHING, options.keys * LARGE_BYTES, 1);
    case 'page-now':
      return range(() => page(random, options), rangeBytes(options.keys), 1000);
    case 'page-past': {
      const revision = String(options.revision - options.back);
      return range(() => ({ ...page(random, options), revision }), rangeBytes(options.keys), 1000);
    }
    case 'txn-mix':
      return transactions(random, list, anyKey);
  }
}

const EVERYTHING: Message = { key: '/registry/pods/', range_end: '/registry/pods0' };

const rangeBytes = (keys: number): number => Math.min(1000, keys / 10) * VALUE_BYTES;

/** A range of exactly 1,000 keys, or all of a namespace if it has fewer. */
function thousand(random: Random, keys: number): Message {
  const namespace = random.below(10);
  const inNamespace = keys / 10;
  const first = inNamespace <= 1000 ? 0 : random.below(inNamespace - 1000);
  return { key: keyOf(first * 10 + namespace), range_end: keyOf((first + 1000) * 10 + namespace) };
}

/** As Kubernetes pages through a list: from a key in the middle to the end of everything. */
function page(random: Random, { keys }: WorkloadOptions): Message {
  const first = random.below(Math.max(1, keys / 20)) * 10;
  return { key: keyOf(first), range_end: '/registry/pods0', limit: '1000' };
}

/** A third each: a conditional put that succeeds, one that fails and reads, two puts and a read. */
function transactions(
  random: Random,
  list: (make: (i: number) => Buffer) => Buffer[],
  anyKey: () => string,
): Workload {
  const put = (key: string): Message => ({ request_put: { key, value: randomValue(random) } });
  const read = (key: string): Message => ({ request_range: { key } });
  const exists = (key: string, result: number): Message => ({
    ...{ key, result, target: 0, version: '0' },
  });
  const make = (i: number): Message => {
    const key = anyKey();
    if (i % 3 === 0)
      return { compare: [exists(key, 1)], success: [put(key)], failure: [read(key)] };
    if (i % 3 === 1)
      return { compare: [exists(key, 0)], success: [put(key)], failure: [read(key)] };
    const other = anyKey();
    const success = key === other ? [put(key)] : [put(key), put(other), read(key)];
    return { success };
  };
  return {
    path: '/etcdserverpb.KV/Txn',
    messages: list((i) => grpcMessage('TxnRequest', make(i))),
    raises: (i) => (i % 3 === 1 ? 0 : 1),
    responseBytesMin: 10,
  };
}
