// Directories with the files that both programs get, made by real members.

import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { Member, realProgram } from '../helpers/member.ts';
import { type Found, need, REPOSITORY, type RealEtcd, realEtcd } from '../helpers/real-etcd.ts';
import { type RunResult, run } from '../helpers/run.ts';

export const OUR_TOOL = join(REPOSITORY, 'dist', 'bin', 'tetcdutl.js');

/** More than the records of `fillWith` take. */
const SEGMENT_BYTES = 128 * 1024;

/** The etcdutl beside a real etcd. */
export function realTool(found: Found<RealEtcd>): Found<string> {
  if (found.missing !== undefined) return found;
  const path = join(dirname(found.value.etcd), 'etcdutl');
  return existsSync(path) ? { value: path } : { missing: `${path}: not found` };
}

/** A tool in a directory of its own. */
export class Side {
  readonly directory: string;
  readonly #command: readonly string[];

  private constructor(command: readonly string[], files: string | undefined) {
    this.#command = command;
    this.directory = mkdtempSync(join(tmpdir(), 'tetcd-utl-'));
    if (files !== undefined) this.reset(files);
  }

  static ours(files?: string): Side {
    return new Side([process.execPath, OUR_TOOL], files);
  }

  static theirs(tool: string, files?: string): Side {
    return new Side([tool], files);
  }

  /** The files as they were at first. */
  reset(files: string): void {
    rmSync(this.directory, { recursive: true, force: true });
    cpSync(files, this.directory, { recursive: true });
  }

  run(args: readonly string[]): Promise<RunResult> {
    return run([...this.#command, ...args], { cwd: this.directory, timeoutMs: 60_000 });
  }

  /** Every name below the directory, with a digest of a file's bytes. */
  contents(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const entry of readdirSync(this.directory, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const digest = () => createHash('sha1').update(readFileSync(path)).digest('hex');
      found[relative(this.directory, path)] = entry.isDirectory() ? 'directory' : digest();
    }
    return found;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  dispose(): void {
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** What is compared of a run: errors without the name of the program, each once. */
export function normalForm({ code, stdout, stderr }: RunResult): Record<string, unknown> {
  const errors = stderr
    .replaceAll('tetcdutl', 'etcdutl')
    .split('\n')
    .filter((line) => line.startsWith('Error: ') || line.startsWith('Run '));
  return { code, stdout, errors: [...new Set(errors)] };
}

/** Fills a directory with the files that `rows.ts` names. */
export async function makeFiles(directory: string): Promise<void> {
  const releases = [['new', '3.7'] as const, ['old', '3.5'] as const];
  for (const [name, release] of releases) {
    const real = need(realEtcd(release));
    const member = await Member.start(realProgram(real), { directory: join(directory, name) });
    const ctl = async (...args: string[]): Promise<void> => {
      const result = await run([real.etcdctl, `--endpoints=${member.endpoint}`, ...args]);
      if (result.code !== 0) throw new Error(`${args.join(' ')}: ${result.stderr}`);
    };
    await fillWith(ctl);
    await ctl('snapshot', 'save', join(directory, `${name}.db`));
    await member.stop();
    await member.dispose();
    shorten(join(directory, name, 'member', 'wal'));
  }
  const whole = readFileSync(join(directory, 'new.db'));
  writeFileSync(join(directory, 'half.db'), whole.subarray(0, 10_000));
  writeFileSync(join(directory, 'text'), 'not a database\n'.repeat(1000));
  writeFileSync(join(directory, 'empty'), '');
  writeFileSync(join(directory, 'bad.db'), damaged(whole));
  for (const name of ['nolog', 'wrong']) {
    cpSync(join(directory, 'new'), join(directory, name), { recursive: true });
  }
  rmSync(join(directory, 'nolog', 'member', 'wal'), { recursive: true });
  writeFileSync(join(directory, 'wrong', 'member', 'snap', 'db'), 'no database\n'.repeat(1000));
}

/** Segments without most of the zeros at their end, of which copies would be large. */
function shorten(wal: string): void {
  for (const name of readdirSync(wal)) {
    if (name.endsWith('.tmp')) rmSync(join(wal, name));
    else truncateSync(join(wal, name), SEGMENT_BYTES);
  }
}

async function fillWith(ctl: (...args: string[]) => Promise<void>): Promise<void> {
  for (let i = 0; i < 30; i++) await ctl('put', `k${i % 10}`, `value ${i}`);
  await ctl('del', 'k3');
  await ctl('compact', '12');
  await ctl('lease', 'grant', '90000');
  await ctl('user', 'add', 'root:pass');
}

/** The count of elements of a page in use is another one. */
function damaged(whole: Buffer): Buffer {
  const bytes = Buffer.from(whole);
  const pageSize = bytes.readUInt32LE(0x18);
  const meta = [0, 1].map((id) => bytes.subarray(id * pageSize));
  const newer = meta[0]!.readBigUInt64LE(0x40) > meta[1]!.readBigUInt64LE(0x40) ? 0 : 1;
  const root = Number(meta[newer]!.readBigUInt64LE(0x20));
  bytes.writeUInt16LE(0x1234, root * pageSize + 10);
  return bytes;
}
