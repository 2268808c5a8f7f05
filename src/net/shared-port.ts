// TCP ports at which several processes listen (SO_REUSEPORT): the system spreads connections over them.
// Node sets the option itself from 22.12 and 23.1 on; before, a small native package makes the socket.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { networkError } from '../env/index.ts';

interface Place {
  /** Empty: all addresses. */
  readonly host: string;
  readonly port: number;
}

type SharedPort = { readonly fd: number } | (Place & { readonly reusePort: true });

/** What to give `listen`. UNSUPPORTED if this Node cannot do it and the package is missing. */
export async function sharedPort({ host, port }: Place): Promise<SharedPort> {
  if (knowsReusePort(process.versions.node)) return { host, port, reusePort: true };
  const createSocket = await nativeSocket();
  const ip = host === '' || isIP(host) !== 0 ? host : (await lookup(host)).address;
  try {
    return { fd: createSocket(port, ip === '' ? '::' : ip) };
  } catch (error) {
    throw networkError(
      withCode(error),
      'listen on',
      `${host.includes(':') ? `[${host}]` : host}:${port}`,
    );
  }
}

/** Whether `listen` of this release takes `reusePort`. */
export function knowsReusePort(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

async function nativeSocket(): Promise<(port: number, ip: string) => number> {
  try {
    return (await import('node-unix-socket')).createReuseportFd;
  } catch (error) {
    throw new TetcdError(
      ERROR_CODES.UNSUPPORTED,
      `--socket-reuse-port needs Node.js 22.12 or later, or the package node-unix-socket, which cannot ` +
        `be loaded; this is Node.js ${process.versions.node}`,
      { cause: error },
    );
  }
}

/** The package has the system's text only. */
const CODES: Readonly<Record<string, string>> = {
  'Address already in use': 'EADDRINUSE',
  'Cannot assign requested address': 'EADDRNOTAVAIL',
  'Permission denied': 'EACCES',
};

function withCode(error: unknown): Error {
  const failed = error instanceof Error ? error : new Error(String(error));
  const code = CODES[failed.message];
  return code === undefined ? failed : Object.assign(new Error(failed.message), { code });
}
