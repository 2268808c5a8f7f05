// A proxy as a process: its command line, its log, its start and its end.

import type { Env } from '../../../env/index.ts';
import { createNodeEnv } from '../../../net/index.ts';
import {
  asError,
  createLogger,
  type Logger,
  logProcessTrouble,
  openOutputs,
} from '../../../server/index.ts';
import { argumentWords } from '../../shell/node-io.ts';
import type { ReceiveStopSignals } from '../early-signals.ts';
import { StopSignals } from '../stop-signals.ts';
import { ServiceManager } from '../systemd.ts';
import { type ProxyCommand, readProxyCommand } from './command-tree.ts';
import { startGateway } from './gateway-start.ts';
import { startProxy } from './grpc-proxy-start.ts';
import { SettingsError } from './settings-error.ts';

const CALLER = 'cli/tetcd/proxy/run-proxy.ts';

type Started = Exclude<ProxyCommand, { readonly kind: 'print' | 'refuse' }>;

/** Runs `tetcd gateway …` or `tetcd grpc-proxy …` until a signal ends it. */
export async function main(
  argv: readonly string[],
  receiveStopSignals: ReceiveStopSignals,
): Promise<void> {
  const command = readProxyCommand(await argumentWords(argv));
  if (command.kind === 'print') process.stdout.write(command.text);
  else if (command.kind === 'refuse') {
    process.stderr.write(command.text);
    process.exitCode = 1;
  } else await serve(command, receiveStopSignals);
}

async function serve(command: Started, receiveStopSignals: ReceiveStopSignals): Promise<void> {
  const env = createNodeEnv();
  const sink = await openOutputs({ format: 'json', outputs: ['stderr'] }, env.clock);
  const level = command.kind === 'grpc-proxy' && command.flags.debug ? 'debug' : 'info';
  const log = createLogger({ level, format: 'json' }, sink, env.clock, CALLER);
  if (command.kind === 'gateway') log.info('Running: ', { args: process.argv.slice(1) });
  logProcessTrouble(process, log, () => process.exit(1));
  const stopping = new StopSignals(log, env.timers, receiveStopSignals);
  const manager = new ServiceManager(log, env.timers, process.env['NOTIFY_SOCKET']);
  try {
    const close = await Promise.race([start(command, env, log), stopping.whenRequested]);
    if (close === undefined) {
      stopping.end();
      return;
    }
    stopping.acceptServing();
    void manager.notify('READY=1');
    await stopping.whenRequested;
    await Promise.all([manager.notify('STOPPING=1'), close()]);
    stopping.end();
  } catch (error) {
    refuse(error, log);
  }
}

function start(command: Started, env: Env, log: Logger): Promise<() => Promise<void>> {
  return command.kind === 'gateway'
    ? startGateway(command.flags, env, log)
    : startProxy(command.flags, env, log);
}

/** As etcd: what is wrong with the settings on standard output, all else on standard error. */
function refuse(error: unknown, log: Logger): void {
  const text = `${asError(error).message}\n`;
  if (error instanceof SettingsError) process.stdout.write(text);
  else process.stderr.write(text);
  log.end();
  process.exitCode = 1;
}
