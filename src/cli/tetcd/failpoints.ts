// Failpoints of a process: set by GOFAIL_FAILPOINTS at its start, and over HTTP at the address of
// GOFAIL_HTTP. Loaded only if one of them is set. Requests, answers and texts are gofail's.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  FAILPOINT_ERRORS,
  FAILPOINT_NAMES,
  type FailpointEffects,
  Failpoints,
  failpoints,
} from '../../base/index.ts';
import type { Env } from '../../env/index.ts';

/** Of a PUT; enough for terms of every failpoint. */
const BODY_BYTES_MAX = 65_536;
/** Of a process that a failpoint ended, as Go's after a panic. */
const PANIC_EXIT_CODE = 2;

/** Resolves when they are set and served; ends the process if that is not possible. */
export async function arm(env: Pick<Env, 'entropy' | 'timers'>): Promise<void> {
  const { GOFAIL_FAILPOINTS: given = '', GOFAIL_HTTP: address = '' } = process.env;
  const effects = effectsOf(env);
  const armed = new Failpoints(effects);
  failpoints.active = armed;
  if (given !== '') {
    const list = parseList(given);
    if (typeof list === 'string') return give(effects, `fail to parse failpoint: ${list}`);
    for (const [name, terms] of list) {
      const prepared = armed.prepare(name, terms);
      if (!('error' in prepared)) prepared.set();
    }
  }
  if (address !== '') await serve(armed, address, effects);
}

function give({ print }: FailpointEffects, text: string): never {
  print(text);
  process.exit(1);
}

function effectsOf({ entropy, timers }: Pick<Env, 'entropy' | 'timers'>): FailpointEffects {
  return {
    print: (line) => void process.stdout.write(`${line}\n`),
    panic: (text) => {
      process.stderr.write(`panic: ${text}\n\n${new Error('at this failpoint').stack ?? ''}\n`);
      process.exit(PANIC_EXIT_CODE);
    },
    holdThread: (ms) => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    },
    sleep: (ms) => new Promise((resolve) => timers.after(ms, resolve)),
    random: () => {
      const [a, b, c, d] = entropy.bytes(4);
      return (a! * 2 ** 24 + b! * 2 ** 16 + c! * 2 ** 8 + d!) / (2 ** 32 - 1);
    },
  };
}

/** `name=terms;name=terms`, or what is wrong with it. */
function parseList(text: string): readonly (readonly [string, string])[] | string {
  const list: (readonly [string, string])[] = [];
  for (const part of text.split(';')) {
    if (part === '') continue;
    const [name, terms, ...more] = part.split('=');
    if (terms === undefined || more.length > 0) return `bad failpoint ${JSON.stringify(part)}`;
    list.push([name!, terms]);
  }
  return list;
}

// --- HTTP --------------------------------------------------------------------------------------------

async function serve(armed: Failpoints, address: string, effects: FailpointEffects): Promise<void> {
  const server = createServer((request, response) => answer(armed, request, response));
  // It ends with the process, and keeps none alive.
  server.unref();
  const at = address.lastIndexOf(':');
  const host = address.slice(0, Math.max(at, 0)).replace(/^\[(.*)\]$/, '$1');
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const port = Number(address.slice(at + 1));
      server.listen({ port, ...(host === '' ? {} : { host }) }, resolve);
    });
  } catch (error) {
    give(effects, error instanceof Error ? error.message : String(error));
  }
}

function answer(armed: Failpoints, request: IncomingMessage, response: ServerResponse): void {
  const key = (request.url ?? '/').slice(1);
  switch (request.method) {
    case 'PUT':
      readBody(request, (body) => {
        if (body === undefined) refuse(response, 400, 'failed ReadAll in PUT');
        else put(armed, response, key, body);
      });
      return;
    case 'GET':
      get(armed, response, key);
      return;
    case 'DELETE':
      if (!armed.disable(key)) {
        const { UNKNOWN, DISABLED } = FAILPOINT_ERRORS;
        const why = armed.isKnown(key) ? DISABLED : UNKNOWN;
        refuse(response, 400, `failed to delete failpoint ${why}`);
      } else response.writeHead(204).end();
      return;
    default:
      response.setHeader('Allow', 'PUT');
      refuse(response, 405, 'Method not allowed');
  }
}

/** Undefined for one that is too long. A request that breaks off has no answer. */
function readBody(request: IncomingMessage, then: (body: string | undefined) => void): void {
  const pieces: Buffer[] = [];
  let size = 0;
  request.on('data', (piece: Buffer) => {
    size += piece.length;
    if (size <= BODY_BYTES_MAX) pieces.push(piece);
  });
  request.on('error', () => undefined);
  request.on('end', () => {
    then(size > BODY_BYTES_MAX ? undefined : Buffer.concat(pieces).toString());
  });
}

/** What is set takes effect when the answer is on its way, which a panic would prevent. */
function put(armed: Failpoints, response: ServerResponse, key: string, body: string): void {
  const list = key.toLowerCase() === 'failpoints' ? parseList(body) : [[key, body] as const];
  if (typeof list === 'string') {
    refuse(response, 400, `fail to parse failpoint: ${list}`);
    return;
  }
  const setters: (() => void)[] = [];
  let problem: string | undefined;
  for (const [name, terms] of list) {
    const prepared = armed.prepare(name, terms);
    if ('error' in prepared) {
      problem = `fail to set failpoint: ${prepared.error}`;
      break;
    }
    setters.push(prepared.set);
  }
  response.on('finish', () => {
    for (const set of setters) set();
  });
  if (problem !== undefined) refuse(response, 400, problem);
  else response.writeHead(204).end();
}

function get(armed: Failpoints, response: ServerResponse, key: string): void {
  if (key === '') {
    const lines = FAILPOINT_NAMES.map((name) => `${name}=${armed.termsOf(name)?.text ?? ''}\n`);
    say(response, lines.join(''));
    return;
  }
  const wantsCount = key.endsWith('/count');
  const name = wantsCount ? key.slice(0, -'/count'.length) : key;
  const terms = armed.termsOf(name);
  if (terms !== undefined) {
    say(response, wantsCount ? String(terms.count) : `${terms.text}\n`);
    return;
  }
  const { UNKNOWN, DISABLED } = FAILPOINT_ERRORS;
  const isKnown = armed.isKnown(name);
  const why = `failed to GET: ${isKnown ? DISABLED : UNKNOWN}`;
  if (wantsCount) refuse(response, isKnown ? 500 : 404, why);
  else refuse(response, 404, `${why}\n`);
}

function say(response: ServerResponse, text: string): void {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(text);
}

/** As Go's `http.Error`. */
function refuse(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('X-Content-Type-Options', 'nosniff');
  say(response, `${text}\n`);
}
