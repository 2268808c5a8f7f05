// The debug pages that the settings ask for; their code is loaded only then.

import type { ServerConfig } from '../config/index.ts';
import type { DebugPages } from '../http/handler.ts';
import type { PprofParts } from './pprof-pages.ts';

interface DebugParts extends PprofParts {
  readonly config: Pick<ServerConfig, 'enablePprof' | 'log'>;
}

export async function openDebugPages(parts: DebugParts): Promise<readonly DebugPages[]> {
  const { enablePprof, log } = parts.config;
  if (!enablePprof && log.level !== 'debug') return [];
  const { PprofPages } = await import('./pprof-pages.ts');
  return [await PprofPages.open(parts, enablePprof)];
}
