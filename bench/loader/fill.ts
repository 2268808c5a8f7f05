// Fills a fresh server: so many keys, then so many changes of one revision each.

import { seededRandom } from '../../src/base/index.ts';
import { LoadConnection, type Slot } from './connection.ts';
import type { Target } from './target.ts';
import { grpcMessage, keyOf, randomValue, VALUE_BYTES } from './workloads.ts';

export interface FillOptions extends Target {
  readonly keys: number;
  readonly changes: number;
  /** Default VALUE_BYTES. */
  readonly valueBytes?: number;
}

const KEYS_PER_TXN = 100;
const BYTES_PER_TXN = 400_000;
const CALLS_AT_A_TIME = 32;
const VALUES = 1_000;

export async function runFill(options: FillOptions): Promise<void> {
  const random = seededRandom(20);
  const values = Array.from({ length: VALUES }, () => randomValue(random, options.valueBytes));
  const put = (i: number, value: number) => ({ key: keyOf(i), value: values[value % VALUES]! });
  const keysPerTxn = Math.min(
    KEYS_PER_TXN,
    Math.floor(BYTES_PER_TXN / (options.valueBytes ?? VALUE_BYTES)),
  );
  const txns = Math.ceil(options.keys / keysPerTxn);
  await all(options, '/etcdserverpb.KV/Txn', txns, (n) => {
    const first = n * keysPerTxn;
    const count = Math.min(keysPerTxn, options.keys - first);
    const success = Array.from({ length: count }, (_, i) => ({
      request_put: put(first + i, first + i),
    }));
    return grpcMessage('TxnRequest', { success });
  });
  await all(options, '/etcdserverpb.KV/Put', options.changes, (n) =>
    grpcMessage('PutRequest', put(random.below(options.keys), n)),
  );
}

/** Makes `count` calls, some at a time. */
async function all(
  target: Target,
  path: string,
  count: number,
  make: (n: number) => Buffer,
): Promise<void> {
  if (count === 0) return;
  await new Promise<void>((resolve, reject) => {
    LoadConnection.open(target, path, reject).then((connection) => {
      let started = 0;
      let ended = 0;
      const slot: Slot = {
        wantsMessages: false,
        onMessage: () => {},
        onEnd: (status, text) => {
          ended++;
          if (status !== 0) reject(new Error(`${path}: ${status} ${text}`));
          else if (ended === count) resolve();
          else next();
          if (status !== 0 || ended === count) connection.close();
        },
      };
      const next = (): void => {
        if (started < count) connection.call(make(started++), slot);
      };
      for (let i = 0; i < CALLS_AT_A_TIME; i++) next();
      connection.flush();
    }, reject);
  });
}
