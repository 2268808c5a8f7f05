// One member as a process.

import { createRequire } from 'node:module';
import { verify } from '../../base/index.ts';
import { createNodeEnv } from '../../env/index.ts';
import {
  createLogger,
  type Logger,
  logProcessTrouble,
  Member,
  openOutputs,
  parseConfig,
} from '../../server/index.ts';
import { logWeaknesses } from './runtime-warnings.ts';
import { StopSignals } from './stop-signals.ts';
import { ServiceManager } from './systemd.ts';

const CALLER = 'cli/tetcd/serve.ts';

type LogNote = Extract<ReturnType<typeof parseConfig>, { kind: 'fail' }>['notes'][number];

function packageVersion(): string {
  const { version }: { version: string } = createRequire(import.meta.url)('tetcd/package.json');
  return version;
}

function logNotes(log: Logger, notes: readonly LogNote[]): void {
  for (const { level, msg, fields } of notes) log[level](msg, fields);
}

export async function main(): Promise<void> {
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
  logWeaknesses(log, process);
  const manager = new ServiceManager(log, env.timers, process.env['NOTIFY_SOCKET']);
  const stopping = new StopSignals(log, env.timers);
  try {
    const member = await Member.start({
      config,
      env,
      log,
      onFatal: die,
      // As etcd: the member has done what the others asked for.
      onRemoved: () => process.exit(0),
      signal: stopping.requested,
    });
    stopping.acceptServing();
    void manager.notify('READY=1');
    await stopping.whenRequested;
    await Promise.all([manager.notify('STOPPING=1'), member.stop()]);
    stopping.end();
  } catch (error) {
    if (stopping.requested.aborted) {
      stopping.end();
      return;
    }
    log.fatal('failed to start etcd', { error: error instanceof Error ? error : String(error) });
    process.exit(1);
  }
}
