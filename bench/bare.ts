// What a put of one client is compared with besides other servers: the disk and the way there and back.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../test/helpers/real-etcd.ts';
import type { Sizes } from './cases.ts';
import { bindTo, load, SERVER_CORE } from './servers.ts';

/** The median round trip with `bare-server.mjs`, on the servers' core, which writes to `file`. */
export async function bareRoundTripMs(file: string, sizes: Sizes): Promise<number> {
  const program = join(REPOSITORY, 'bench', 'bare-server.mjs');
  const [command, ...rest] = [...bindTo(SERVER_CORE), process.execPath, program, file];
  const server = spawn(command!, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [port] = (await once(server.stdout, 'data')) as [Buffer];
    const { latency } = await load({
      ...{ kind: 'round-trips', endpoint: `127.0.0.1:${port.toString().trim()}` },
      ...{ warmUpMs: sizes.warmUpMs, measureMs: sizes.measureMs / 2 },
    });
    return latency.p50Ms;
  } finally {
    server.stdin.end();
    await once(server, 'exit');
    rmSync(file, { force: true });
  }
}
