// One member of a cluster of real processes: its ports and directory stay, its process and even
// its program come and go.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ApiClient, type ClientPem, type Login, type Message } from '../helpers/api.ts';
import {
  type PortFiles,
  type Program,
  READY,
  temporaryDirectory,
  tlsFlags,
} from '../helpers/member.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { until } from './until.ts';

/** A program and its own flags, among them those that only its release knows. */
export interface Server {
  readonly program: Program;
  readonly flags?: readonly string[];
  /** Its clients are served over TLS, those of the tests among them. */
  readonly tls?: ServerTls;
}

export interface ServerTls {
  readonly files: PortFiles;
  /** Of the port for members, which is otherwise in the clear. */
  readonly peerFiles?: PortFiles;
  readonly client: ClientPem;
}

/** What a member is started with besides its own name, ports and directory. */
export interface Membership {
  /** Name and advertised peer URL of every member, this one too. */
  readonly peers: readonly (readonly [name: string, peerUrl: string])[];
  readonly state: 'new' | 'existing';
}

export interface MemberPlace {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** Of the gate before the peer port, or the peer port itself. */
  readonly advertisedPort: number;
  /** Before the program, as `taskset -c 0`. */
  readonly prefix?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Called with each new process id, undefined when it ends. */
  readonly onProcess?: (pid: number | undefined) => void;
}

const START_TIMEOUT_MS = 60_000;
const LOG_TAIL_LINES = 60;

export interface MemberStatus {
  readonly memberId: string;
  /** `0` when it knows of none. */
  readonly leader: string;
  readonly term: number;
  readonly revision: number;
  readonly raftIndex: number;
  readonly appliedIndex: number;
  readonly isLearner: boolean;
  readonly version: string;
}

export class ClusterMember {
  readonly name: string;
  readonly endpoint: string;
  readonly peerUrl: string;
  readonly directory: string;
  /** Its place in the cluster, once it has been started. */
  id = '';
  readonly #place: MemberPlace;
  #server: Server;
  #flags: readonly string[] = [];
  #membership: Membership = { peers: [], state: 'new' };
  #process: ServerProcess | undefined;
  #paused = false;
  #client: ApiClient | undefined;
  #login: Login | undefined;
  /** Ends of the logs of earlier processes. */
  readonly #history: string[] = [];

  constructor(place: MemberPlace, server: Server) {
    this.#place = place;
    this.#server = server;
    this.name = place.name;
    this.endpoint = `127.0.0.1:${place.clientPort}`;
    this.peerUrl = `${schemeOf(server.tls?.peerFiles)}://127.0.0.1:${place.advertisedPort}`;
    this.directory = join(temporaryDirectory(), 'data');
  }

  get server(): Server {
    return this.#server;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning === true;
  }

  /** Runs and is not stopped in its tracks. */
  get isUp(): boolean {
    return this.isRunning && !this.#paused;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined || !this.isRunning) throw new Error(`${this.name} is not running`);
    return pid;
  }

  /** A client of this member alone, the same each time. */
  get client(): ApiClient {
    this.#client ??= this.connect();
    return this.#client;
  }

  /** A client of its own, which the caller closes; in the name of `login`, or as {@link logInAs}. */
  connect(login: Login | undefined = this.#login): ApiClient {
    const client = new ApiClient(this.endpoint, this.#server.tls?.client);
    if (login !== undefined) client.logInAs(login);
    return client;
  }

  /** From now on its clients call in this name. */
  logInAs(login: Login): void {
    this.#login = login;
    this.client.logInAs(login);
  }

  /** Starts the process; resolves when it serves clients, for which it may need the others. */
  async start(
    membership: Membership = this.#membership,
    flags: readonly string[] = this.#flags,
    timeoutMs: number = START_TIMEOUT_MS,
  ): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} is running`);
    this.#keepLog();
    this.#membership = membership;
    this.#flags = flags;
    const { prefix = [], env, onProcess } = this.#place;
    const { program } = this.#server;
    const command = [...prefix, ...program.command, ...this.#arguments()];
    const started = new ServerProcess(`${this.name} (${program.name})`, command, { env });
    this.#process = started;
    this.#paused = false;
    onProcess?.(started.pid);
    await started.line(READY, timeoutMs);
    // The client may still believe for a moment that the port is closed.
    const look = (): Promise<string | undefined> =>
      this.status().then(
        ({ memberId }) => memberId,
        () => undefined,
      );
    this.id = await until(`an answer of ${this.name}`, look);
  }

  /** Tells what it is to start with. */
  adopt(membership: Membership): void {
    this.#membership = membership;
  }

  /** Starts again after an end, on the same directory; with another program if one is given. */
  async restart(server: Server = this.#server): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} is running`);
    this.#server = server;
    await this.start();
  }

  /** SIGTERM; resolves when the process is gone. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGSTOP: sockets stay open, nothing moves. */
  pause(): void {
    this.#paused = true;
    this.#process?.signal('SIGSTOP');
  }

  continue(): void {
    this.#paused = false;
    this.#process?.signal('SIGCONT');
  }

  /** The first line of the current process's log with `pattern`, past or to come. */
  line(pattern: RegExp, timeoutMs: number = START_TIMEOUT_MS): Promise<string> {
    if (this.#process === undefined) throw new Error(`${this.name} was never started`);
    return this.#process.line(pattern, timeoutMs);
  }

  /** Of the current process. */
  log(): string {
    return this.#process?.log() ?? '';
  }

  /** The last lines of all its processes' logs, for messages. */
  logTails(): string {
    this.#keepLog();
    return this.#history.join('\n');
  }

  /** Rejects when the member does not answer. */
  async status(): Promise<MemberStatus> {
    const reply = await this.client.must('Maintenance/Status', {}, { timeoutMs: 5_000 });
    const header = reply['header'] as Message;
    return {
      memberId: String(header['member_id']),
      leader: String(reply['leader']),
      term: Number(reply['raftTerm']),
      revision: Number(header['revision']),
      raftIndex: Number(reply['raftIndex']),
      appliedIndex: Number(reply['raftAppliedIndex']),
      isLearner: reply['isLearner'] === true,
      version: String(reply['version']),
    };
  }

  /** Ends the process and removes the directory. Safe to call twice. */
  async dispose(): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
    if (this.isRunning) await this.kill();
    rmSync(join(this.directory, '..'), { recursive: true, force: true, maxRetries: 3 });
  }

  #arguments(): string[] {
    const { tls } = this.#server;
    const client = `${schemeOf(tls?.files)}://${this.endpoint}`;
    const peer = `${schemeOf(tls?.peerFiles)}://127.0.0.1:${this.#place.peerPort}`;
    const { peers, state } = this.#membership;
    return [
      `--name=${this.name}`,
      `--data-dir=${this.directory}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      `--initial-cluster=${peers.map(([name, url]) => `${name}=${url}`).join(',')}`,
      `--initial-cluster-state=${state}`,
      ...(this.#server.program.release === '3.4' ? ['--logger=zap'] : []),
      ...tlsFlags(tls?.files),
      ...tlsFlags(tls?.peerFiles, 'peer-'),
      ...this.#flags,
      ...(this.#server.flags ?? []),
    ];
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#process === undefined) return;
    this.#place.onProcess?.(undefined);
    if (this.#paused && signal === 'SIGTERM') this.continue();
    await this.#process.end(signal);
    this.#paused = false;
  }

  #keepLog(): void {
    const log = this.#process?.log() ?? '';
    if (log === '') return;
    const lines = log.split('\n').slice(-LOG_TAIL_LINES);
    this.#history.push(`--- ${this.name}, ${this.#server.program.name}`, ...lines);
  }
}

const schemeOf = (files: PortFiles | undefined): string => (files === undefined ? 'http' : 'https');
