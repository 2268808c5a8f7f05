// `/debug/requests` and `/debug/events`, after the pages of Go's x/net/trace: for who is on this machine.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { goDuration } from '../../base/index.ts';
import type { DebugPages } from '../http/handler.ts';
import { escapeHtml, respond, respondError } from '../http/respond.ts';
import type { Target } from '../http/target.ts';
import { BUCKETS_MS, ERRORS_BUCKET, type LoggedCall, type RequestLog } from './request-log.ts';

export { RequestLog } from './request-log.ts';

const REQUESTS_PATH = '/debug/requests';
const EVENTS_PATH = '/debug/events';
const ACTIVE = -1;
/** As of x/net/trace: calls under way that one page shows. */
const ACTIVE_SHOWN_MAX = 20;

export class RequestPages implements DebugPages {
  readonly #log: RequestLog;

  constructor(log: RequestLog) {
    this.#log = log;
  }

  handle(request: IncomingMessage, response: ServerResponse, { path, query }: Target): boolean {
    if (path !== REQUESTS_PATH && path !== EVENTS_PATH) return false;
    request.resume();
    if (!isLocal(request)) {
      respondError(response, 401, 'not allowed');
      return true;
    }
    const body = path === EVENTS_PATH ? this.#eventsPage() : this.#requestsPage(query);
    respond(response, 200, 'text/html; charset=utf-8', page(path, body));
    return true;
  }

  close(): void {
    // Nothing is held.
  }

  #requestsPage(query: URLSearchParams): string {
    const rows = this.#log.families().map((family) => this.#familyRow(family));
    const status = `<table id="tr-status">\n${rows.join('\n')}\n</table>`;
    const family = query.get('fam') ?? '';
    const bucket = Number(query.get('b') ?? Number.NaN);
    if (family === '' || !Number.isInteger(bucket) || bucket < ACTIVE || bucket > ERRORS_BUCKET) {
      return status;
    }
    const isActive = bucket === ACTIVE;
    const all = isActive ? this.#log.active(family) : this.#log.bucket(family, bucket);
    const shown = isActive ? all.slice(0, ACTIVE_SHOWN_MAX) : all;
    const isExpanded = /^(?:1|t|true)$/i.test(query.get('exp') ?? '');
    return [
      status,
      '<hr />',
      `<h3>Family: ${escapeHtml(family)}</h3>`,
      isExpanded
        ? link(family, bucket, 'Normal/Summary', false)
        : link(family, bucket, 'Normal/Expanded', true),
      shown.length < all.length ? `<p><em>Showing ${shown.length} of ${all.length}</em></p>` : '',
      '<table id="reqs">',
      `<tr><th>When</th><th>Elapsed&nbsp;(s)</th></tr>`,
      ...shown.map((call) => callRows(call, isExpanded)),
      '</table>',
    ].join('\n');
  }

  #familyRow(family: string): string {
    const active = link(family, ACTIVE, `[${this.#log.active(family).length} active]`);
    const names = [...BUCKETS_MS.map((ms) => `&ge;${ms / 1000}s`), 'errors'];
    const cells = names.map((name, bucket) => {
      const isEmpty = this.#log.bucket(family, bucket).length === 0;
      return `<td${isEmpty ? ' class="empty"' : ''}>${link(family, bucket, `[${name}]`)}</td>`;
    });
    const name = `<td class="family">${escapeHtml(family)}</td>`;
    return `<tr>${name}<td class="active">${active}</td>${cells.join('')}</tr>`;
  }

  #eventsPage(): string {
    const rows = this.#log.events.map(
      ({ wallMs, text }) =>
        `<tr><td class="when">${when(wallMs)}</td><td>${escapeHtml(text)}</td></tr>`,
    );
    return `<h3>Family: grpc.Server</h3>\n<table id="reqs">\n${rows.join('\n')}\n</table>`;
  }
}

/** The machine itself: over loopback, or a socket of its file system. */
function isLocal({ socket: { remoteAddress } }: IncomingMessage): boolean {
  if (remoteAddress === undefined || remoteAddress === '') return true;
  return /^(?:::ffff:)?127\.|^::1$/.test(remoteAddress);
}

/** `text` is HTML. */
function link(family: string, bucket: number, text: string, isExpanded = false): string {
  const query = new URLSearchParams({ fam: family, b: String(bucket) });
  if (isExpanded) query.set('exp', '1');
  return `<a href="?${escapeHtml(String(query))}">${text}</a>`;
}

function callRows(call: LoggedCall, isExpanded: boolean): string {
  const { method, client, deadlineMs, startWallMs, tookMs, outcome } = call;
  const elapsed = tookMs === undefined ? '' : (tookMs / 1000).toFixed(6);
  const head = `<tr class="first"><td class="when">${when(startWallMs)}</td><td class="elapsed">${elapsed}</td><td>${escapeHtml(method)}</td></tr>`;
  if (!isExpanded) return head;
  const deadline = deadlineMs === undefined ? 'none' : goDuration(Math.round(deadlineMs * 1e6));
  const lines = [
    `RPC: from ${client} deadline:${deadline}`,
    ...(outcome === undefined ? [] : [outcome]),
  ];
  return [
    head,
    ...lines.map((line) => `<tr><td></td><td></td><td>${escapeHtml(line)}</td></tr>`),
  ].join('\n');
}

function when(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('T', ' ').slice(0, -1);
}

function page(title: string, body: string): string {
  return `<html>
<head>
<title>${title}</title>
<style type="text/css">
body { font-family: sans-serif; }
td.family { padding-right: 2em; }
td.active { padding-right: 1em; }
td.empty a { color: #aaa; }
#reqs tr.first { font-weight: bold; }
#reqs td { font-family: monospace; }
#reqs td.when { text-align: right; white-space: nowrap; }
#reqs td.elapsed { padding: 0 0.5em; text-align: right; white-space: pre; width: 10em; }
</style>
</head>
<body>
<h1>${title}</h1>
${body}
</body>
</html>
`;
}
