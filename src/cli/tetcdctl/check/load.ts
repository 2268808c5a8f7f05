// Puts by many clients at a time, and how they went.

import { seededRandom } from '../../../base/index.ts';
import type { Client } from '../../../client/index.ts';
import { errorText } from '../../shell/error-text.ts';
import type { Io } from '../../shell/io.ts';

/** How the puts went. Times in seconds; those of failed puts do not count. */
export interface Stats {
  readonly errors: ReadonlyMap<string, number>;
  readonly perSecond: number;
  readonly slowest: number;
  /** NaN without a put that succeeded. */
  readonly deviation: number;
}

interface LoadInit {
  readonly prefix: string;
  /** Of the rest of a key: a random number, then zeros. */
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Whether another put begins now, and whether there will be more. */
  readonly next: () => 'put' | 'wait' | 'end';
  readonly onPut: () => void;
}

/** How often a client looks whether it may put. */
const WAIT_MS = 1;

/** Each client puts one key after the other. Resolves when the last put has ended. */
export async function load(io: Io, clients: readonly Client[], init: LoadInit): Promise<Stats> {
  const random = seededRandom(io.monotonicNs() % 2 ** 31);
  const value = new Uint8Array(init.valueBytes);
  const prefix = Buffer.from(init.prefix);
  const seconds: number[] = [];
  const errors = new Map<string, number>();
  const startNs = io.monotonicNs();

  const put = async (client: Client): Promise<void> => {
    const key = Buffer.alloc(prefix.length + init.keyBytes);
    prefix.copy(key);
    key.writeDoubleLE(random.below(2 ** 31), prefix.length);
    key.writeDoubleLE(random.below(2 ** 31), prefix.length + 8);
    const putNs = io.monotonicNs();
    try {
      await client.kv.put(key, value);
      seconds.push((io.monotonicNs() - putNs) / 1e9);
    } catch (error) {
      const text = errorText(error);
      errors.set(text, (errors.get(text) ?? 0) + 1);
    }
    init.onPut();
  };
  const work = async (client: Client): Promise<void> => {
    for (;;) {
      const next = init.next();
      if (next === 'end') return;
      if (next === 'put') await put(client);
      else await io.sleep(WAIT_MS);
    }
  };
  await Promise.all(clients.map(work));

  return { errors, ...statsOf(seconds, (io.monotonicNs() - startNs) / 1e9) };
}

function statsOf(seconds: readonly number[], total: number): Omit<Stats, 'errors'> {
  const { length } = seconds;
  let slowest = 0;
  let sum = 0;
  for (const each of seconds) {
    slowest = Math.max(slowest, each);
    sum += each;
  }
  let squares = 0;
  for (const each of seconds) squares += (each - sum / length) ** 2;
  return { perSecond: length / total, slowest, deviation: Math.sqrt(squares / length) };
}

/** The lines about failed puts; none if there are none. */
export function errorLines({ errors }: Stats): string {
  if (errors.size === 0) return '';
  const lines = [...errors].map(([text, count]) => `FAIL: ERROR(${text}) -> ${count}`);
  return `${['FAIL: too many errors', ...lines].join('\n')}\n`;
}
