// A command that goes on, as a process.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Found, REPOSITORY } from '../helpers/real-etcd.ts';

export const MAIN = join(REPOSITORY, 'dist', 'bin', 'tetcdctl.js');
/** Our tool, once it is built. */
export const built: Found<string> = existsSync(MAIN)
  ? { value: MAIN }
  : { missing: 'dist/bin/tetcdctl.js: run npm run build' };

const TIMEOUT_MS = 20_000;

/** A command that goes on, with what it has printed so far. */
export class Running {
  stdout = '';
  stderr = '';
  readonly closed: Promise<number | null>;
  readonly child: ChildProcessWithoutNullStreams;
  readonly #printed = new EventEmitter();

  constructor([program, ...args]: readonly string[]) {
    this.child = spawn(program!, args, { stdio: 'pipe', env: process.env });
    this.closed = once(this.child, 'close').then(([code]) => code as number | null);
    this.child.stdout.on('data', (bytes: Buffer) => {
      this.stdout += bytes.toString();
      this.#printed.emit('more');
    });
    this.child.stderr.on('data', (bytes: Buffer) => {
      this.stderr += bytes.toString();
      this.#printed.emit('more');
    });
  }

  static ctl(endpoint: string, args: readonly string[]): Running {
    return new Running([process.execPath, MAIN, `--endpoints=${endpoint}`, ...args]);
  }

  /** Resolves when what was printed satisfies `holds`. */
  async until(holds: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    while (!holds()) {
      try {
        await once(this.#printed, 'more', { signal });
      } catch {
        throw new Error(`never: ${this.stdout} ${this.stderr}`);
      }
    }
  }

  async end(): Promise<void> {
    this.child.kill();
    await this.closed;
  }
}
