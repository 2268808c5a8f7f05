// Processes of `tetcd gateway`, `tetcd grpc-proxy` and etcd's own, on free ports.

import { type Program, serverUnderTest } from '../helpers/member.ts';
import { need, type RealEtcd } from '../helpers/real-etcd.ts';
import { freePort, ServerProcess } from '../helpers/server-process.ts';

export const START_TIMEOUT_MS = 30_000;
const READY = /started gRPC proxy|ready to proxy client requests/;

export interface StartedProxy {
  /** `host:port`. */
  readonly endpoint: string;
  readonly process: ServerProcess;
}

/** Proxies that a test file has started; to be ended after each test. */
export class Proxies {
  readonly #started: ServerProcess[] = [];

  /** Before the given endpoints, with these flags too; ours, or those of `real`. */
  async start(
    kind: 'gateway' | 'grpc-proxy',
    endpoints: readonly string[],
    flags: readonly string[] = [],
    real?: RealEtcd,
  ): Promise<StartedProxy> {
    const started = await this.launch(kind, endpoints, flags, real);
    await started.process.line(READY, START_TIMEOUT_MS);
    return started;
  }

  /** As {@link start}, without waiting until it serves. */
  async launch(
    kind: 'gateway' | 'grpc-proxy',
    endpoints: readonly string[],
    flags: readonly string[] = [],
    real?: RealEtcd,
  ): Promise<StartedProxy> {
    const endpoint = `127.0.0.1:${await freePort()}`;
    const program: Pick<Program, 'command'> =
      real === undefined ? need(serverUnderTest()) : { command: [real.etcd] };
    const process = new ServerProcess(kind, [
      ...program.command,
      ...[kind, 'start', `--listen-addr=${endpoint}`, `--endpoints=${endpoints.join(',')}`],
      ...flags,
    ]);
    this.#started.push(process);
    return { endpoint, process };
  }

  async dispose(): Promise<void> {
    for (const process of this.#started.splice(0)) await process.end('SIGKILL');
  }
}
