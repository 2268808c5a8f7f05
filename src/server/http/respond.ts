// Responses in the form of Go's net/http, since probes compare texts and headers.

import type { IncomingMessage, ServerResponse } from 'node:http';

const TEXT = 'text/plain; charset=utf-8';

export function respond(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...headers,
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

export function respondText(response: ServerResponse, status: number, body: string): void {
  respond(response, status, TEXT, body);
}

/** As Go's `http.Error`: the text, a newline, and no sniffing. */
export function respondError(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  respond(response, status, TEXT, `${text}\n`, {
    ...headers,
    'X-Content-Type-Options': 'nosniff',
  });
}

/** Answers anything but GET with 405 and returns false. */
export function allowGet(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method === 'GET') return true;
  respondError(response, 405, 'Method Not Allowed', { Allow: 'GET' });
  return false;
}

/** As Go's `http.Redirect` with 307: with a page for GET and HEAD only. */
export function redirect(request: IncomingMessage, response: ServerResponse, to: string): void {
  response.setHeader('Location', to);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(307, { 'Content-Length': 0 }).end();
    return;
  }
  const body = `<a href="${escapeHtml(to)}">Temporary Redirect</a>.\n\n`;
  respond(response, 307, 'text/html; charset=utf-8', body);
}

const HTML_ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (found) => HTML_ESCAPES[found]!);
}
