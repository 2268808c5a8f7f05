// What a database needs of an env, around a simulated disk alone.

import { OPEN_MODES } from '../../env/index.ts';
import { SimDisk } from '../../env/sim/index.ts';
import type { BboltEnv } from '../file/database.ts';

export function testEnv(disk: SimDisk): BboltEnv {
  return {
    disk,
    clock: { wallMs: () => 0, monotonicMs: () => performance.now() },
    timers: {
      after: () => {
        throw new Error('no timers here');
      },
      atEndOfTurn: (callback) => {
        setImmediate(callback);
      },
      nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
    },
  };
}

/** A disk with one file. */
export async function diskWith(path: string, content: Uint8Array): Promise<SimDisk> {
  const disk = new SimDisk({ seed: 1 });
  const file = await disk.open(path, OPEN_MODES.CREATE);
  await file.write([content], 0);
  await file.sync();
  await file.close();
  return disk;
}
