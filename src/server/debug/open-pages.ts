// The debug pages that the settings ask for; their code is loaded only then.

import type { CallObserver } from '../../rpc/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { DebugPages } from '../http/handler.ts';
import type { PprofParts } from './pprof-pages.ts';

type AskedFor = Pick<ServerConfig, 'enablePprof' | 'log'>;

/** Pages of calls, with what collects them: at the log level `debug`, as in etcd. */
export async function openRequestPages(
  { log }: Pick<AskedFor, 'log'>,
  { clock }: Pick<PprofParts['env'], 'clock'>,
): Promise<{ readonly log: CallObserver; readonly pages: DebugPages } | undefined> {
  if (log.level !== 'debug') return undefined;
  const { RequestLog, RequestPages } = await import('./request-pages.ts');
  const requestLog = new RequestLog(clock);
  return { log: requestLog, pages: new RequestPages(requestLog) };
}

export async function openProfilePages(
  parts: PprofParts & { readonly config: AskedFor },
): Promise<DebugPages | undefined> {
  const { enablePprof, log } = parts.config;
  if (!enablePprof && log.level !== 'debug') return undefined;
  const { PprofPages } = await import('./pprof-pages.ts');
  return PprofPages.open(parts, enablePprof);
}
