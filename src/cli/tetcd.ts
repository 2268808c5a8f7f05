#!/usr/bin/env node
// The command `tetcd`: one member as a process.

import { createRequire } from 'node:module';
import { verify } from '../base/index.ts';
import { createNodeEnv } from '../env/index.ts';
import {
  createLogger,
  type Logger,
  logProcessTrouble,
  Member,
  openOutputs,
  parseConfig,
} from '../server/index.ts';

const CALLER = 'cli/tetcd.ts';

type LogNote = Extract<ReturnType<typeof parseConfig>, { kind: 'fail' }>['notes'][number];

function packageVersion(): string {
  const { version }: { version: string } = createRequire(import.meta.url)('../../package.json');
  return version;
}

function logNotes(log: Logger, notes: readonly LogNote[]): void {
  for (const { level, msg, fields } of notes) log[level](msg, fields);
}

async function main(): Promise<void> {
  verify.all = process.env['TETCD_VERIFY'] === 'all';
  const env = createNodeEnv();
  const parsed = parseConfig(process.argv.slice(2), process.env, {
    packageVersion: packageVersion(),
    nodeVersion: process.version,
    platform: process.platform,
    arch: process.arch,
  });
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    process.stderr.write(parsed.stderr);
    process.exitCode = parsed.exitCode;
    return;
  }
  if (parsed.kind === 'fail') {
    const log = createLogger(
      { level: 'info', format: 'json' },
      openOutputs({ format: 'json', outputs: ['stderr'] }, env.clock),
      env.clock,
      CALLER,
    );
    logNotes(log, parsed.notes);
    process.exitCode = parsed.exitCode;
    return;
  }
  const { config, notes } = parsed;
  const log = createLogger(config.log, openOutputs(config.log, env.clock), env.clock, CALLER);
  logNotes(log, notes);
  log.info('Running: ', { args: process.argv.slice(1) });
  const die = (): void => {
    process.exit(1);
  };
  logProcessTrouble(process, log, die);
  const starting = new AbortController();
  const stopRequested = untilSignal(log);
  void stopRequested.then(() => starting.abort());
  try {
    const member = await Member.start({
      config,
      env,
      log,
      onFatal: die,
      // As etcd: the member has done what the others asked for.
      onRemoved: () => process.exit(0),
      signal: starting.signal,
    });
    const signal = await stopRequested;
    await member.stop();
    raise(signal, log);
  } catch (error) {
    if (starting.signal.aborted) raise(await stopRequested, log);
    log.fatal('failed to start etcd', { error: error instanceof Error ? error : String(error) });
    process.exit(1);
  }
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
type StopSignal = (typeof SIGNALS)[number];

/** Resolves at the first signal to stop; a second one ends the process at once. */
function untilSignal(log: Logger): Promise<StopSignal> {
  return new Promise((resolve) => {
    for (const signal of SIGNALS) {
      process.once(signal, () => {
        log.info('received signal; shutting down', { signal });
        resolve(signal);
      });
    }
  });
}

/** Ends as the signal would have: whoever sent it sees that. The first process of a container exits. */
function raise(signal: StopSignal, log: Logger): void {
  log.end();
  for (const name of SIGNALS) process.removeAllListeners(name);
  if (process.pid === 1) process.exit(0);
  process.kill(process.pid, signal);
}

await main();
