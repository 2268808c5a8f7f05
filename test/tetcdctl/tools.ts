// The programs that are compared: ours within this process, an etcdctl as a process.

import { execFile, spawn } from 'node:child_process';
import type { ExecResult } from '../../src/cli/shell/io.ts';
import { MemoryIo } from '../../src/cli/shell/memory-io.fixture.ts';
import { wordFromText } from '../../src/cli/shell/words.ts';
import { runTetcdctl } from '../../src/cli/tetcdctl/program.ts';
import { createNodeDisk, type Disk, OPEN_MODES } from '../../src/env/index.ts';
import type { Found, RealEtcd } from '../helpers/real-etcd.ts';
import { realEtcd } from '../helpers/real-etcd.ts';
import type { RunResult } from '../helpers/run.ts';
import type { Like } from './steps.ts';

const TOOL_TIMEOUT_MS = 30_000;

export interface ToolInput {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Output as latin1: it may hold any bytes. */
export type Tool = (args: readonly string[], input: ToolInput) => Promise<RunResult>;

/** Everything in memory, but for files and programs. */
class DiskIo extends MemoryIo {
  override exec([program, ...args]: readonly string[], env: object): Promise<ExecResult> {
    return new Promise((resolve) => {
      const stdio = ['ignore', 'pipe', 'inherit'] as const;
      const child = spawn(program!, args, { env: { ...process.env, ...env }, stdio: [...stdio] });
      child.stdout!.on('data', (bytes: Buffer) => this.out(bytes));
      child.once('error', (error) => resolve({ code: null, signal: null, error }));
      child.once('close', (code, signal) => resolve({ code, signal, error: undefined }));
    });
  }

  override async disk(): Promise<Disk> {
    return createNodeDisk();
  }

  override async readFile(path: string): Promise<Uint8Array> {
    const file = await createNodeDisk().open(path, OPEN_MODES.READ);
    try {
      const bytes = new Uint8Array(file.size());
      return bytes.subarray(0, await file.read(bytes, 0));
    } finally {
      await file.close();
    }
  }
}

export const ours: Tool = async (args, { input, env }) => {
  const io = new DiskIo({ ...(input === undefined ? {} : { input }), ...(env && { env }) });
  const code = await runTetcdctl(args.map(wordFromText), io);
  return { code, stdout: io.outBytes.toString('latin1'), stderr: io.errText };
};

export function theirs(etcdctl: string): Tool {
  return (args, { input = '', env = {} }) =>
    new Promise((resolve, reject) => {
      const options = {
        // Any bytes must survive.
        encoding: 'latin1',
        env: { ...process.env, ETCDCTL_API: '3', ...env },
        timeout: TOOL_TIMEOUT_MS,
      } as const;
      const child = execFile(etcdctl, args, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === 'number') {
          resolve({ code, stdout, stderr: Buffer.from(stderr, 'latin1').toString() });
        } else reject(error);
      });
      // Who does not read its input may be gone before it is written.
      child.stdin!.on('error', () => {});
      child.stdin!.end(input);
    });
}

/** The releases that tetcdctl is compared with; steps say which of them do the same. */
export function realPrograms(): ReadonlyArray<readonly [Like, Found<RealEtcd>]> {
  return (['3.4', '3.5', '3.7'] as const).map((release) => [release, realEtcd(release)]);
}
