// One process of a server program: its log line by line, its end, and that it never outlives us.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { systemProgram } from './real-etcd.ts';

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Called with every line as it comes, and the number of lines so far. */
  readonly onLine?: (line: string, count: number) => void;
}

const STOP_TIMEOUT_MS = 30_000;
const LOG_LINES_MAX = 20_000;
const TAIL_LINES = 20;

// Below the range from which systems choose by themselves, so that no client connection takes one
// between our look and the server's start.
const PORT_FIRST = 20_000;
const PORT_COUNT = 12_000;

function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A free loopback port. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = PORT_FIRST + Math.floor(Math.random() * PORT_COUNT);
    if (await portIsFree(port)) return port;
  }
  throw new Error('no free loopback port found');
}

// The system ends the servers when the test process dies by a signal; the handler when it exits.
const setpriv = systemProgram('setpriv');
const DIE_WITH_PARENT =
  process.platform === 'linux' && setpriv.missing === undefined
    ? [setpriv.value, '--pdeathsig', 'KILL']
    : [];
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

interface Waiter {
  readonly pattern: RegExp;
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

export class ServerProcess {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #lineCount = 0;
  readonly #waiters = new Set<Waiter>();
  #ended: string | undefined;

  /** `name` is for messages; `command` is a program and its arguments. */
  constructor(name: string, command: readonly string[], options: SpawnOptions = {}) {
    this.#name = name;
    const whole = [...DIE_WITH_PARENT, ...command];
    const child = spawn(whole[0]!, whole.slice(1), {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    const note = (line: string): void => {
      this.#lines.push(line);
      this.#lineCount++;
      if (this.#lines.length > LOG_LINES_MAX) this.#lines.splice(0, LOG_LINES_MAX / 2);
      options.onLine?.(line, this.#lineCount);
      for (const waiter of [...this.#waiters]) {
        if (waiter.pattern.test(line)) waiter.resolve(line);
      }
    };
    eachLine(child.stdout, note);
    eachLine(child.stderr, note);
    child.once('error', (error) => this.#end(`does not start (${error.message})`));
    child.once('close', (code, signal) => this.#end(`ended with ${code ?? signal}`));
  }

  /** Undefined when the program could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** False once it has ended and its log is complete. */
  get isRunning(): boolean {
    return this.#ended === undefined;
  }

  /** Everything logged (the newest lines, if very many). */
  log(): string {
    return this.#lines.join('\n');
  }

  /** The first line with `pattern`, past or to come; rejects at the time limit or its end. */
  line(pattern: RegExp, timeoutMs: number): Promise<string> {
    const past = this.#lines.find((line) => pattern.test(line));
    if (past !== undefined) return Promise.resolve(past);
    if (this.#ended !== undefined) return Promise.reject(this.#refusal(this.#ended));
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        pattern,
        resolve: (line) => {
          settle();
          resolve(line);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const timer = setTimeout(
        () => waiter.reject(this.#refusal(`is not ready after ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.#waiters.add(waiter);
    });
  }

  /** How it ended (an exit code or the name of a signal); rejects at the time limit. */
  async ended(timeoutMs: number): Promise<string> {
    if (this.isRunning) {
      await once(this.#child, 'close', { signal: AbortSignal.timeout(timeoutMs) });
    }
    return String(this.#child.exitCode ?? this.#child.signalCode);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends it; resolves with the exit code (-1 after a signal). What hangs is killed and rejects. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    if (this.isRunning) {
      const closed = once(this.#child, 'close');
      this.#child.kill(signal);
      let hung = false;
      const timer = setTimeout(() => {
        hung = true;
        this.#child.kill('SIGKILL');
      }, STOP_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
      if (hung) throw new Error(`${this.#name} did not stop within ${STOP_TIMEOUT_MS} ms`);
    }
    return this.#child.exitCode ?? -1;
  }

  /** kill -9 to it and to all that it has started and they have, also in groups of their own. */
  async endAll(): Promise<void> {
    const { pid } = this;
    if (pid === undefined || !this.isRunning) return;
    // Stopped first, so that it starts nothing more that the list lacks.
    this.#child.kill('SIGSTOP');
    const descendants = descendantsOf(pid);
    const ended = this.end('SIGKILL');
    for (const one of descendants) killIfThere(one);
    await ended;
  }

  #end(how: string): void {
    this.#ended ??= how;
    for (const waiter of [...this.#waiters]) waiter.reject(this.#refusal(how));
  }

  #refusal(how: string): Error {
    return new Error(`${this.#name} ${how}:\n${this.#lines.slice(-TAIL_LINES).join('\n')}`);
  }
}

function descendantsOf(pid: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const rows = table.split('\n').map((row) => row.trim().split(/\s+/).map(Number));
  const found = [pid];
  for (const parent of found) {
    for (const [child, of] of rows) if (of === parent) found.push(child!);
  }
  return found.slice(1);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function eachLine(stream: NodeJS.ReadableStream | null, note: (line: string) => void): void {
  if (stream === null) return;
  stream.setEncoding('utf8');
  let rest = '';
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) note(line);
  });
  stream.on('end', () => {
    if (rest !== '') note(rest);
  });
}
