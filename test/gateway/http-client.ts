// Requests as they are given, and answers as they can be compared.

import { type IncomingMessage, request } from 'node:http';

export interface Ask {
  readonly path: string;
  /** Default POST. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

const TIMEOUT_MS = 15_000;

/** Sends a request and reads the answer, or its first lines, after which the connection is closed. */
export function ask(
  endpoint: string,
  asked: Ask,
  linesMax = Number.POSITIVE_INFINITY,
): Promise<Answer> {
  const [host, port] = endpoint.split(':') as [string, string];
  const { path, method = 'POST', headers = {}, body = '' } = asked;
  return new Promise((resolve, reject) => {
    const options = { host, port, path, method, headers, agent: false, timeout: TIMEOUT_MS };
    const sent = request(options, (response: IncomingMessage) => {
      let text = '';
      const done = (): void => {
        const { statusCode: status } = response;
        const lines = text.split('\n').slice(0, linesMax);
        resolve({ status, headers: response.headers, body: lines.join('\n') });
        if (!response.complete) sent.destroy();
      };
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.split('\n').length > linesMax) done();
      });
      response.on('end', done).on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer in time`)));
    sent.on('error', reject).end(body);
  });
}

/** Headers that a client may look at. */
const COMPARED = [
  ...['content-type', 'grpc-metadata-content-type', 'location', 'allow', 'www-authenticate'],
  ...['access-control-allow-origin', 'access-control-allow-methods'],
  ...['access-control-allow-headers', 'x-content-type-options', 'transfer-encoding'],
];

/** Fields whose values differ between two clusters that have done the same. */
const OWN_VALUES: ReadonlySet<string> = new Set([
  ...['cluster_id', 'member_id', 'memberID', 'leader', 'hash', 'blob', 'peerURLs', 'clientURLs'],
  ...['raftIndex', 'raftAppliedIndex', 'dbSize', 'dbSizeInUse', 'compact_revision_hash'],
]);

/** What has to be equal on both sides: JSON without blanks, in the order of its fields. */
export function comparable({ status, headers, body }: Answer): unknown {
  const shown = Object.fromEntries(
    COMPARED.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]),
  );
  return { status, headers: shown, body: body.split('\n').map(comparableLine) };
}

function comparableLine(line: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return line;
  }
  return JSON.stringify(value, (name, one: unknown) => {
    if (OWN_VALUES.has(name)) return '*';
    if (name === 'ID' && typeof one === 'string' && one.length > 10) return '*';
    // Go's protobuf sometimes has a no-break space there, so that nobody compares its texts.
    return typeof one === 'string' ? one.replace(/^proto:\u00a0/, 'proto: ') : one;
  });
}
