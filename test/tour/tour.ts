// Takes the tour against one server with one etcdctl.

import { spawn } from 'node:child_process';
import { run } from '../helpers/run.ts';
import { type Step, TOUR } from './steps.ts';

export interface Stop {
  readonly command: string;
  readonly output: string;
}

const LINES_TIMEOUT_MS = 10_000;

/** Runs until so many lines have come on standard output (0: until it ends), then stops it. */
function runForLines(command: readonly string[], step: Step): Promise<string> {
  const lines = step.lines ?? 0;
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, ETCDCTL_API: '3' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let output = '';
    let errors = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), LINES_TIMEOUT_MS);
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      if (lines > 0 && output.split('\n').length > lines) child.kill('SIGTERM');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString('utf8');
    });
    child.on('error', reject);
    child.on('close', (_code, signal) => {
      clearTimeout(timer);
      if (signal === 'SIGKILL') {
        reject(new Error(`${command.join(' ')}: only this came:\n${output}${errors}`));
        return;
      }
      const first = output.split('\n').slice(0, lines > 0 ? lines : undefined);
      resolve(`${first.join('\n')}\n${lines > 0 ? '' : errors}`);
    });
    child.stdin.on('error', () => {});
    if (step.input !== undefined) child.stdin.write(step.input);
  });
}

/** What may differ from one server to the other becomes a word for its kind. */
export function normalise(text: string, endpoint: string, kept: ReadonlyMap<string, string>) {
  let result = text.replaceAll(endpoint, 'ENDPOINT');
  for (const [name, value] of kept) {
    result = result.replaceAll(value, `<${name}>`);
    result = result.replaceAll(BigInt(`0x${value}`).toString(), `<${name}>`);
  }
  return (
    result
      .replace(/"(ts)":"[^"]*"/g, '"$1":TIME')
      .replace(/"(caller|target|endpoint)":"[^"]*"/g, '"$1":…')
      .replace(/(client-|endpoint:\/\/client-)[-0-9a-f]{20,}/g, '$1ID')
      .replace(/(took[ ":=]*)[0-9.]+(µs|ms|s)/g, '$1TIME')
      .replace(/"(cluster_id|member_id|leader|ID|id)":\d{10,}/g, '"$1":ID')
      .replace(/"(ClusterID|MemberID|Leader|ID)" : \d+/g, '"$1" : ID')
      .replace(/"(raftIndex|raftAppliedIndex|dbSize|dbSizeInUse)":\d+/g, '"$1":N')
      .replace(/"(RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse)" : \d+/g, '"$1" : N')
      .replace(/\b[0-9a-f]{14,16}\b/g, 'ID')
      .replace(/https?:\/\/127\.0\.0\.1:\d+/g, 'URL')
      // A client's own port.
      .replace(/(LocalAddr: '127\.0\.0\.1):\d+/g, '$1')
      .replace(/[0-9.]+ [kM]?B\b/g, 'SIZE')
      .replace(/\b\d+%/g, 'SHARE')
      // A table's widths follow its contents.
      .replace(/-{3,}/g, '---')
      .replace(/─{3,}/g, '───')
      .replace(/ {2,}/g, ' ')
      .replace(/\b3\.\d+\.\d+\b/g, 'VERSION')
      // A tool that ends in a panic prints addresses.
      .replace(/goroutine[\s\S]*?(?=exit code|$)/g, 'goroutines…')
      .replace(/remaining\(\d+s\)/g, 'remaining(N)')
      .replace(/"ttl":59\d/g, '"ttl":59N')
  );
}

/** In tables and lines of endpoint status, the raft index of this member. */
function withoutIndexes(step: Step, text: string): string {
  if (step.args[0] !== 'endpoint' || step.args[1] !== 'status') return text;
  return text
    .replace(/, \d+, \d+, (?=$|, )/gm, ', N, N, ')
    .replace(/([|│]) \d+ \1 \d+ \1 \1/g, '$1 N $1 N $1 $1');
}

/** Where a tour goes, and in whose name. */
export interface Destination {
  /** `host:port`. */
  readonly endpoint: string;
  /** Flags of the first stop, the second and so on, then from the first again; default: none. */
  readonly credentials?: readonly (readonly string[])[];
}

export async function takeTour(etcdctl: string, destination: Destination): Promise<Stop[]> {
  const { endpoint, credentials = [[]] } = destination;
  const kept = new Map<string, string>();
  const stops: Stop[] = [];
  for (const [index, step] of TOUR.entries()) {
    const who = credentials[index % credentials.length]!;
    const args = step.args.map((arg) => arg.replace(/\$(\w+)/g, (_, name) => kept.get(name) ?? ''));
    const command = [etcdctl, `--endpoints=${endpoint}`, ...who, '--command-timeout=5s', ...args];
    let output: string;
    if (step.lines !== undefined) {
      output = await runForLines(command, step);
    } else {
      const options = step.input === undefined ? {} : { input: step.input };
      const { code, stdout, stderr } = await run(command, options);
      output = `${stdout}${stderr === '' ? '' : `stderr: ${stderr}`}exit code ${code}\n`;
    }
    const found = step.keep?.pattern.exec(output)?.[1];
    if (step.keep !== undefined && found !== undefined) kept.set(step.keep.name, found);
    const normal = withoutIndexes(step, normalise(output, endpoint, kept));
    stops.push({ command: `etcdctl ${step.args.join(' ')}`, output: normal });
  }
  return stops;
}
