// `/metrics`, as the handler of Prometheus' Go library answers it: with any method, compressed on demand,
// and counting itself.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { asError, type Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import { respondError } from './respond.ts';

interface MetricsPageParts {
  readonly log: Logger;
  readonly metrics: Pick<ServerMetrics, 'scrapes'>;
  readonly render: () => Promise<string>;
}

export class MetricsPage {
  readonly #parts: MetricsPageParts;

  constructor(parts: MetricsPageParts) {
    this.#parts = parts;
    for (const code of ['200', '500', '503']) parts.metrics.scrapes.answered.with(code);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { log, metrics, render } = this.#parts;
    const { inFlight, answered } = metrics.scrapes;
    inFlight.value++;
    try {
      const text = await render();
      const compresses = acceptsGzip(request);
      const body = compresses ? await promisify(gzip)(text) : Buffer.from(text);
      response.writeHead(200, {
        ...(compresses ? { 'Content-Encoding': 'gzip' } : {}),
        'Content-Type': `${CONTENT_TYPE}; escaping=${escapingFor(request)}`,
        'Content-Length': body.length,
      });
      response.end(body);
      answered.with('200').value++;
    } catch (error) {
      log.error('the metrics page cannot be made', { error: asError(error) });
      respondError(response, 500, 'An error has occurred while serving metrics');
      answered.with('500').value++;
    } finally {
      inFlight.value--;
    }
  }
}

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Whether `Accept-Encoding` names gzip, without a quality of 0. */
function acceptsGzip({ headers }: IncomingMessage): boolean {
  const named = String(headers['accept-encoding'] ?? '').split(',');
  return named.some((each) => /^\s*gzip\s*(?:;(?!\s*q=0(?:\.0*)?\s*$).*)?$/i.test(each));
}

/** The way in which names are escaped, which the client may choose: ours have nothing to escape. */
function escapingFor({ headers }: IncomingMessage): string {
  const asked = /;\s*escaping=(allow-utf-8|underscores|dots|values)\b/.exec(headers.accept ?? '');
  return asked?.[1] ?? 'underscores';
}
