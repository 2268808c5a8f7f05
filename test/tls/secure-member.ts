// Members of any program whose ports are encrypted, with certificates in files that a test replaces.

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Issued, TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { type Program, READY, temporaryDirectory } from '../helpers/member.ts';
import { type RunResult, run } from '../helpers/run.ts';
import { freePort, ServerProcess } from '../helpers/server-process.ts';

export const LOOPBACK = { dns: ['localhost'], ip: [[127, 0, 0, 1]] } as const;

/** A directory of PEM files, each replaced without a gap. */
export class Pem {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  put(name: string, text: string): string {
    const fresh = this.path(`${name}.new`);
    writeFileSync(fresh, text);
    renameSync(fresh, this.path(name));
    return this.path(name);
  }

  /** `name.crt` and `name.key`. */
  putPair(name: string, { cert, key }: Pick<Issued, 'cert' | 'key'>): void {
    // The key first or last: between the two, what is there does not fit, and the former is used.
    this.put(`${name}.key`, key);
    this.put(`${name}.crt`, cert);
  }

  removeAll(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface SecurePorts {
  readonly client: number;
  readonly peer: number;
  readonly metrics: number;
}

export async function securePorts(): Promise<SecurePorts> {
  return { client: await freePort(), peer: await freePort(), metrics: await freePort() };
}

/** One member on loopback, everything encrypted: `server` and `ca.crt` of its own {@link Pem}. */
export class SecureMember {
  readonly name: string;
  readonly ports: SecurePorts;
  readonly pem: Pem;
  readonly root: string;
  #process: ServerProcess | undefined;

  constructor(name: string, ports: SecurePorts, root: string = temporaryDirectory()) {
    this.name = name;
    this.ports = ports;
    this.root = root;
    this.pem = new Pem(join(root, 'pem'));
  }

  get directory(): string {
    return join(this.root, 'data');
  }

  get clientUrl(): string {
    return `https://127.0.0.1:${this.ports.client}`;
  }

  get peerUrl(): string {
    return `https://127.0.0.1:${this.ports.peer}`;
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  get log(): string {
    return this.#process?.log() ?? '';
  }

  /** With a certificate of `authority`, which is the only one that it trusts. */
  certify(authority: TestAuthority): this {
    this.pem.putPair('server', authority.issue({ commonName: this.name, ...LOOPBACK }));
    this.pem.put('ca.crt', authority.cert);
    return this;
  }

  flags(cluster: readonly SecureMember[] = [this]): string[] {
    const { pem } = this;
    return [
      `--name=${this.name}`,
      `--data-dir=${this.directory}`,
      `--listen-client-urls=${this.clientUrl}`,
      `--advertise-client-urls=${this.clientUrl}`,
      `--listen-metrics-urls=https://127.0.0.1:${this.ports.metrics}`,
      `--listen-peer-urls=${this.peerUrl}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      `--initial-cluster=${cluster.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',')}`,
      ...['', 'peer-'].flatMap((prefix) => [
        `--${prefix}cert-file=${pem.path('server.crt')}`,
        `--${prefix}key-file=${pem.path('server.key')}`,
        `--${prefix}trusted-ca-file=${pem.path('ca.crt')}`,
        `--${prefix}client-cert-auth`,
      ]),
    ];
  }

  launch(program: Program, flags: readonly string[] = this.flags()): ServerProcess {
    this.#process = new ServerProcess(this.name, [...program.command, ...flags]);
    return this.#process;
  }

  /** Resolves when it serves. */
  async start(program: Program, flags: readonly string[] = this.flags()): Promise<this> {
    await this.launch(program, flags).line(READY, 60_000);
    return this;
  }

  line(pattern: RegExp, timeoutMs = 20_000): Promise<string> {
    return this.#process!.line(pattern, timeoutMs);
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.#process?.isRunning === true) await this.#process.end(signal);
  }

  async dispose(): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.root, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** What a real etcdctl prints over TLS. */
export function etcdctl(
  program: string,
  endpoints: string,
  pem: Pem,
  args: readonly string[],
): Promise<RunResult> {
  const tls = ['--cacert=ca.crt', '--cert=client.crt', '--key=client.key'].map((flag) => {
    const [name, file] = flag.split('=') as [string, string];
    return `${name}=${pem.path(file)}`;
  });
  const command = [program, `--endpoints=${endpoints}`, ...tls, '--dial-timeout=3s', ...args];
  return run(command, { env: { ETCDCTL_API: '3' } });
}
