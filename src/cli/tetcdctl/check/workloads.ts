// The workloads of the checks, by name; what both checks do before and after one.

import { goQuote } from '../../../base/index.ts';
import type { Client } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag, type Flag, stringFlag } from '../../shell/flags.ts';
import type { Session } from '../session.ts';

export interface CheckOptions {
  readonly load: string;
  readonly prefix: string;
  readonly autoCompact: boolean;
  readonly autoDefrag: boolean;
}

type Size = 's' | 'm' | 'l' | 'xl';

const SIZES: Readonly<Record<string, Size>> = {
  s: 's',
  small: 's',
  m: 'm',
  medium: 'm',
  l: 'l',
  large: 'l',
  xl: 'xl',
  xLarge: 'xl',
};

const MAINTENANCE_TIMEOUT_MS = 30_000;

export function checkFlags(prefix: string): Flag[] {
  return [
    stringFlag({
      flag: '--load',
      help: 's(mall), m(edium), l(arge) or xl (xLarge)',
      initial: 's',
      values: ['small', 'medium', 'large', 'xLarge'],
    }),
    stringFlag({ flag: '--prefix', help: 'what the keys begin with', initial: prefix }),
    boolFlag({ flag: '--auto-compact', help: 'compact the keys away afterwards' }),
    boolFlag({ flag: '--auto-defrag', help: 'defragment the endpoints given afterwards' }),
  ];
}

/** BAD_FEATURE for a name that none of them has. */
export function workloadOf<Workload>(
  name: string,
  workloads: Readonly<Record<Size, Workload>>,
): Workload {
  const size = Object.hasOwn(SIZES, name) ? SIZES[name] : undefined;
  if (size === undefined) throw new ExitError(EXIT.BAD_FEATURE, `unknown load option ${name}`);
  return workloads[size];
}

/** As many clients as the workload has, each with connections of its own. */
export async function openClients(session: Session, count: number): Promise<Client[]> {
  const clients: Client[] = [];
  for (let i = 0; i < count; i++) clients.push(await session.clientOf(session.endpoints));
  return clients;
}

/** INVALID_INPUT if there are keys below the prefix, which would be deleted. `quote` is around the advice. */
export async function refuseKeys(
  { ask }: Session,
  client: Client,
  prefix: string,
  quote: string,
): Promise<void> {
  const { kvs } = await ask(client.kv.get(prefix, { prefix: true, limit: 1 }));
  if (kvs.length === 0) return;
  const advice = `${quote}etcdctl del --prefix ${prefix}${quote}`;
  const text = `prefix ${goQuote(prefix)} has keys. Delete with ${advice} first`;
  throw new ExitError(EXIT.INVALID_INPUT, text);
}

/** Compacts up to `revision` and defragments, as the flags say. */
export async function tidyUp(
  { io, ask, endpoints }: Session,
  client: Client,
  { autoCompact, autoDefrag }: CheckOptions,
  revision: number | undefined,
): Promise<void> {
  const timeoutMs = MAINTENANCE_TIMEOUT_MS;
  if (autoCompact && revision !== undefined) {
    io.out(`Compacting with revision ${revision}\n`);
    await ask(client.kv.compact(revision, { physical: true, timeoutMs }));
    io.out(`Compacted with revision ${revision}\n`);
  }
  if (!autoDefrag) return;
  for (const endpoint of endpoints) {
    io.out(`Defragmenting ${goQuote(endpoint)}\n`);
    await ask(client.maintenance.defragment({ endpoint, timeoutMs }));
    io.out(`Defragmented ${goQuote(endpoint)}\n`);
  }
}
