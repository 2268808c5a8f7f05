// Distributed tracing as the settings ask for it. Loaded only then.

import type { Env } from '../../env/index.ts';
import { createChannel } from '../../grpc/index.ts';
import { socketConnect } from '../../net/index.ts';
import type { ListenUrl, TracingConfig } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { SpanExporter } from './span-exporter.ts';
import { Tracer } from './tracer.ts';

interface TracingParts {
  readonly config: TracingConfig;
  readonly listenClientUrls: readonly ListenUrl[];
  readonly env: Pick<Env, 'clock' | 'entropy' | 'timers'>;
  readonly log: Logger;
  /** See `Tracer`. */
  readonly applyBeganMs: () => number;
}

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what waits, for a bounded time. */
  close(): Promise<void>;
}

const SAMPLES_OF = 1_000_000;

export function startTracing(parts: TracingParts): Tracing {
  const { config, env, log, listenClientUrls, applyBeganMs } = parts;
  const { address, serviceName, instanceId, samplesPerMillion } = config;
  const channel = createChannel({
    ...{ endpoints: [address], connect: socketConnect() },
    ...{ timers: env.timers, clock: env.clock, entropy: env.entropy, userAgent: 'tetcd' },
  });
  const resource = {
    'service.name': serviceName,
    ...(instanceId !== '' && { 'service.instance.id': instanceId }),
  };
  const exporter = new SpanExporter({ channel, env, log: log.child('tracing'), resource });
  const tracer = new Tracer({
    ...{ env, applyBeganMs, sampledShare: samplesPerMillion / SAMPLES_OF },
    serverAddress: singleAddress(listenClientUrls),
    push: (span) => exporter.push(span),
  });
  log.info('distributed tracing setup enabled');
  return { tracer, close: () => exporter.close() };
}

/** Undefined where clients may connect to several, or to any address of the machine. */
function singleAddress(urls: readonly ListenUrl[]): { host: string; port: number } | undefined {
  const [url] = urls;
  if (url === undefined || urls.length > 1 || url.path !== '') return undefined;
  const isAny = ['', '0.0.0.0', '::'].includes(url.host) || url.port === 0;
  return isAny ? undefined : { host: url.host, port: url.port };
}
