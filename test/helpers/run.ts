// Runs one program to its end, bounded in time and in output.

import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly input?: string;
  /** Added to the environment; ETCDCTL_API=3 is always there. */
  readonly env?: Readonly<Record<string, string>>;
  /** Then the program is killed and the promise rejects; default 30 s. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

export interface RunResult {
  /** Exit code; -1 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const OUTPUT_BYTES_MAX = 16 << 20;

/** Runs `command` (program, then arguments); resolves at its end with any exit code. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = command;
  if (program === undefined) throw new Error('empty command');
  const timeoutMs = options.timeoutMs ?? 30_000;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ETCDCTL_API: '3', ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const outputs = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let bytes = 0;
    let failure: Error | undefined;
    const stopWith = (error: Error): void => {
      failure ??= error;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(
      () => stopWith(new Error(`still running after ${timeoutMs} ms: ${command.join(' ')}`)),
      timeoutMs,
    );
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > OUTPUT_BYTES_MAX) stopWith(new Error(`too much output: ${command.join(' ')}`));
        else outputs[name].push(chunk);
      });
    }
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (failure !== undefined) reject(failure);
      else {
        resolve({
          code: code ?? -1,
          stdout: Buffer.concat(outputs.stdout).toString('utf8'),
          stderr: Buffer.concat(outputs.stderr).toString('utf8'),
        });
      }
    });
    // A program that ends without reading its input closes the pipe first.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}
