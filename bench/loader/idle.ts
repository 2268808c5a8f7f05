// Connections that are established and then say nothing: what each costs the server in memory.

import type { Socket } from 'node:net';
import { residentMebibytes } from './process-stats.ts';
import { openServed, type Target } from './target.ts';

export interface IdleOptions extends Target {
  readonly pid: number;
  readonly connections: number;
  /** Time to come to rest, before and after. */
  readonly quietMs: number;
}

export interface IdleResult {
  readonly rssBeforeMiB: number;
  readonly rssAfterMiB: number;
  readonly kibPerConnection: number;
}

const AT_A_TIME = 50;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function runIdle(options: IdleOptions): Promise<IdleResult> {
  const { pid, connections, quietMs } = options;
  // The first ones load and compile what all need.
  const first = await Promise.all(Array.from({ length: AT_A_TIME }, () => openServed(options)));
  await pause(quietMs);
  const before = residentMebibytes(pid).now;
  const open: Socket[] = [];
  while (open.length < connections) {
    const count = Math.min(AT_A_TIME, connections - open.length);
    open.push(...(await Promise.all(Array.from({ length: count }, () => openServed(options)))));
  }
  await pause(quietMs);
  const after = residentMebibytes(pid).now;
  const alive = open.filter((socket) => !socket.destroyed).length;
  if (alive < connections) throw new Error(`${connections - alive} connections were closed`);
  for (const socket of [...first, ...open]) socket.destroy();
  return {
    ...{ rssBeforeMiB: before, rssAfterMiB: after },
    kibPerConnection: ((after - before) * 1024) / connections,
  };
}
