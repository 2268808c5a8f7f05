// The debug pages that the settings ask for; their code is loaded only then.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CallObserver } from '../../rpc/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { DebugPages } from '../http/handler.ts';
import { parseTarget } from '../http/target.ts';
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

/** Pages of a process that is no member. */
interface ProfilePages {
  /** Answers what is below `/debug/pprof`, and returns whether it has. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  close(): void;
}

/** The same pages for a process that is no member; sampling begins at once. */
export async function openProcessProfiles(parts: PprofParts): Promise<ProfilePages> {
  const { PprofPages } = await import('./pprof-pages.ts');
  const pages = await PprofPages.open(parts, true);
  return {
    handle: (request, response) => {
      const target = parseTarget(request.url ?? '/');
      return target !== undefined && pages.handle(request, response, target);
    },
    close: () => pages.close(),
  };
}
