// Where the loader's calls go: in plaintext or over TLS, in nobody's name or in a user's.

import { connect as connectPlain, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  type SecureContext,
} from 'node:tls';
import type { ClientPem } from '../../test/helpers/api.ts';

export interface Target {
  /** `host:port`. */
  readonly endpoint: string;
  /** Without it, plaintext. */
  readonly tls?: ClientPem | undefined;
  /** Of a user, sent with every call. */
  readonly token?: string | undefined;
}

/** The 24 bytes with which a client of HTTP/2 begins, and empty settings. */
const PREFACE: Buffer = Buffer.from(
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
  'latin1',
);

/** The same on every server: what each of them prefers where the processor helps with AES. */
const SUITE = 'TLS_AES_128_GCM_SHA256';

let made: { readonly cert: string | undefined; readonly context: SecureContext } | undefined;

/**
 * Settings of one connection. A process has one target, whose context is made once. It trusts any server:
 * with an authority to trust, OpenSSL would send that with the client's certificate, which Go's clients do
 * not, and every server would have to read it.
 */
export function tlsOptionsOf({ cert, key }: ClientPem): ConnectionOptions {
  if (made === undefined || made.cert !== cert) {
    const pair = cert === undefined || key === undefined ? {} : { cert, key };
    const context = createSecureContext({ ...pair, ciphers: SUITE, minVersion: 'TLSv1.3' });
    made = { cert, context };
  }
  return { secureContext: made.context, ALPNProtocols: ['h2'], rejectUnauthorized: false };
}

/** Resolves when the connection is established, over TLS when the handshake is complete here. */
export function openSocket({ endpoint, tls }: Target): Promise<Socket> {
  const [host, port] = endpoint.split(':') as [string, string];
  const where = { host, port: Number(port) };
  return new Promise((resolve, reject) => {
    const socket =
      tls === undefined ? connectPlain(where) : connectTls({ ...where, ...tlsOptionsOf(tls) });
    socket.once('error', reject);
    socket.once('connect', () => socket.setNoDelay(true));
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/**
 * Resolves when the server has sent its settings: a client of TLS 1.3 is done before the server has
 * seen its certificate. Rejects if the server closes instead.
 */
export async function openServed(target: Target): Promise<Socket> {
  const socket = await openSocket(target);
  socket.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve());
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed by the server')));
    socket.write(PREFACE);
  });
  return socket;
}
