// `tetcdctl check datascale`: how much memory a member takes for a number of keys.

import type { Command } from 'commander';
import type { Client } from '../../../client/index.ts';
import { EXIT, SilentExit } from '../../shell/exit.ts';
import { fetchText } from '../../shell/fetch-text.ts';
import type { Io } from '../../shell/io.ts';
import { Progress } from '../../shell/progress.ts';
import type { CommandTree } from '../command.ts';
import type { Session } from '../session.ts';
import { errorLines, load } from './load.ts';
import {
  type CheckOptions,
  checkFlags,
  openClients,
  refuseKeys,
  tidyUp,
  workloadOf,
} from './workloads.ts';

interface Workload {
  readonly keys: number;
  readonly clients: number;
}

const WORKLOADS = {
  s: { keys: 10_000, clients: 50 },
  m: { keys: 100_000, clients: 200 },
  l: { keys: 1_000_000, clients: 500 },
  xl: { keys: 3_000_000, clients: 1_000 },
} as const;

const KEY_BYTES = 512;
const VALUE_BYTES = 512;
const MEMORY = 'process_resident_memory_bytes';
const MEBIBYTE = 1024 * 1024;

export function addCheckDatascale(parent: Command, tree: CommandTree): void {
  tree.add<CheckOptions>(parent, {
    name: 'datascale',
    usage: '[options]',
    summary: 'measure the memory that a member takes for keys',
    description: `Writes keys of 1 KiB, as many as the workload says, and deletes them. Prints by
how much the memory of the first endpoint's process has grown, as its metrics tell.`,
    flags: checkFlags('/etcdctl-check-datascale/'),
    run: async ({ options, sessionOfEndpoints: open }) => {
      const workload = workloadOf<Workload>(options.load, WORKLOADS);
      await checkDatascale(await open(), workload, options);
    },
  });
}

async function checkDatascale(
  session: Session,
  workload: Workload,
  options: CheckOptions,
): Promise<void> {
  const { io } = session;
  const clients = await openClients(session, workload.clients);
  const [client] = clients as [Client];
  await refuseKeys(session, client, options.prefix, '');
  const before = await memoryBytes(session, 'before');
  const size = KEY_BYTES + VALUE_BYTES;
  const shape = `${workload.keys} key-value pairs, ${size} bytes per key-value`;
  io.out(
    `Start data scale check for work load [${shape}, ${workload.clients} concurrent clients].\n`,
  );
  const stats = await putAll(io, clients, workload.keys, options.prefix);
  const after = await memoryBytes(session, 'after');
  const { header } = await session.ask(client.kv.delete(options.prefix, { prefix: true }));
  await tidyUp(session, client, options, header.revision);
  const failures = errorLines(stats);
  if (failures !== '') {
    io.out(failures);
    throw new SilentExit(EXIT.ERROR);
  }
  const used = ((after - before) / MEBIBYTE).toFixed(2);
  io.out(`PASS: Approximate system memory used : ${used} MB.\n`);
}

async function putAll(io: Io, clients: readonly Client[], keys: number, prefix: string) {
  let left = keys;
  const progress = new Progress(io, { label: 'Writing', show: String, total: keys });
  try {
    return await load(io, clients, {
      prefix,
      keyBytes: KEY_BYTES,
      valueBytes: VALUE_BYTES,
      next: () => (left-- > 0 ? 'put' : 'end'),
      onPut: () => {
        progress.done++;
      },
    });
  } finally {
    progress.end();
  }
}

/** Of the first endpoint's process. SilentExit, after a line about it, if that cannot be read. */
async function memoryBytes(session: Session, when: 'before' | 'after'): Promise<number> {
  const { io } = session;
  const [endpoint = ''] = session.endpoints;
  const url = /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`;
  try {
    const page = await fetchText(`${url}/metrics`, session.tlsOfPages);
    const line = page.split('\n').find((each) => each.startsWith(`${MEMORY} `));
    const bytes = Number(line?.slice(MEMORY.length));
    if (bytes > 0) return bytes;
    io.out(`could not find: ${MEMORY}\n`);
  } catch (error) {
    io.out(`fetch error: ${(error as Error).message}\n`);
  }
  io.out(`FAIL: Could not read ${MEMORY} ${when} the put operations.\n`);
  throw new SilentExit(EXIT.ERROR);
}
