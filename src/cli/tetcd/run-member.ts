// One member as a process. It reports to a service manager when it serves and when it stops.

import { verify } from '../../base/index.ts';
import {
  type Clock,
  createFileMemoryLock,
  createNodeClock,
  createProcessMemory,
} from '../../env/index.ts';
import { createNodeEnv, createNodeNetwork } from '../../net/index.ts';
import {
  asError,
  createLogger,
  DiscoveryError,
  type Logger,
  loadMemberTls,
  logProcessTrouble,
  Member,
  memberLocalAddress,
  openOutputs,
  type parseConfig,
} from '../../server/index.ts';
import type { ReceiveStopSignals } from './early-signals.ts';
import { logWeaknesses } from './runtime-warnings.ts';
import { StopSignals } from './stop-signals.ts';
import { ServiceManager } from './systemd.ts';

const CALLER = 'cli/tetcd/run-member.ts';

type Parsed = ReturnType<typeof parseConfig>;
type RefusedConfig = Extract<Parsed, { kind: 'fail' }>;
type AcceptedConfig = Extract<Parsed, { kind: 'run' }>;

function logNotes(log: Logger, notes: RefusedConfig['notes']): void {
  for (const { level, msg, fields } of notes) log[level](msg, fields);
}

/** Logs why the command line is refused, and sets the exit code. */
export async function logRefusal({
  notes,
  exitCode,
}: Pick<RefusedConfig, 'notes' | 'exitCode'>): Promise<void> {
  const clock = createNodeClock();
  const sink = await openOutputs({ format: 'json', outputs: ['stderr'] }, clock);
  logNotes(createLogger({ level: 'info', format: 'json' }, sink, clock, CALLER), notes);
  process.exitCode = exitCode;
}

/** `ETCD_VERIFY` turns on etcd's assertions; those here come together. */
function isVerified({ ETCD_VERIFY, TETCD_VERIFY }: NodeJS.ProcessEnv): boolean {
  return TETCD_VERIFY === 'all' || ETCD_VERIFY === 'all' || ETCD_VERIFY === 'assert';
}

function wantsFailpoints({ GOFAIL_FAILPOINTS, GOFAIL_HTTP }: NodeJS.ProcessEnv): boolean {
  return (GOFAIL_FAILPOINTS ?? '') !== '' || (GOFAIL_HTTP ?? '') !== '';
}

/** As Go's net/http2 reads the variable. */
async function http2TracerOf({ GODEBUG = '' }: NodeJS.ProcessEnv, clock: Clock) {
  const level = GODEBUG.includes('http2debug=2') ? 2 : 1;
  if (level === 1 && !GODEBUG.includes('http2debug=1')) return undefined;
  return (await import('./http2-debug.ts')).http2Tracer(level, clock);
}

/** Runs a member until a signal, its removal or a failure ends the process. */
export async function runMember(
  { config, notes }: AcceptedConfig,
  receiveStopSignals: ReceiveStopSignals,
): Promise<void> {
  verify.all = isVerified(process.env);
  const plainEnv = createNodeEnv();
  const { clock, timers } = plainEnv;
  if (wantsFailpoints(process.env)) await (await import('./failpoints.ts')).arm(plainEnv);
  let outputs: Awaited<ReturnType<typeof openOutputs>>;
  try {
    outputs = await openOutputs(config.log, clock);
  } catch (error) {
    const fields = { error: asError(error).message };
    await logRefusal({
      notes: [{ level: 'warn', msg: 'failed to verify flags', fields }],
      exitCode: 1,
    });
    return;
  }
  const log = createLogger(config.log, outputs, clock, CALLER);
  logNotes(log, notes);
  log.info('Running: ', { args: process.argv.slice(1) });
  const die = (): void => {
    process.exit(1);
  };
  logProcessTrouble(process, log, die);
  logWeaknesses(log, process);
  const manager = new ServiceManager(log, timers, process.env['NOTIFY_SOCKET']);
  const stopping = new StopSignals(log, timers, receiveStopSignals);
  let tls: Awaited<ReturnType<typeof loadMemberTls>>;
  try {
    tls = await loadMemberTls(config, { env: plainEnv, log });
    const network = createNodeNetwork(tls?.peers, {
      localAddress: memberLocalAddress(config, log),
      reusePort: config.socketReusePort,
    });
    const env = { ...plainEnv, network };
    const memoryLock = config.memoryMlock ? await createFileMemoryLock() : undefined;
    const member = await Member.start({
      ...{ config, env, log, tls, memoryLock, processMemory: createProcessMemory() },
      traceStream: await http2TracerOf(process.env, clock),
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
    await tls?.takeBack();
    if (stopping.requested.aborted) {
      stopping.end();
      return;
    }
    if (error instanceof DiscoveryError) {
      log.warn('failed to bootstrap; discovery token was already used', {
        'discovery-token': config.serviceDiscovery?.token,
        'discovery-endpoints': config.serviceDiscovery?.endpoints,
        error,
      });
      log.warn('do not reuse discovery token; generate a new one to bootstrap a cluster');
      process.exit(1);
    }
    log.fatal('failed to start etcd', { error: error instanceof Error ? error : String(error) });
    process.exit(1);
  }
}
