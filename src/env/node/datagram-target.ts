// Lines to a datagram socket of the system, as that of systemd's journal, through an optional native
// package: Node has no Unix datagram sockets. Each line is a datagram, sent by a system call of this thread.

import { statSync } from 'node:fs';
import type { LineTarget } from './line-target.ts';

/** What the package says; its errors have no code. */
const CODES: Readonly<Record<string, string>> = { 'Message too long': 'EMSGSIZE' };

/**
 * Rejects if the package is not there, or nothing at `path`. The process may end while it is open: no
 * socket is held while nothing waits.
 */
export async function openDatagramTarget(
  path: string,
  encode: (line: string) => Buffer,
): Promise<LineTarget> {
  const { DgramSocket } = await import('node-unix-socket');
  statSync(path);
  let socket: InstanceType<typeof DgramSocket> | undefined;
  const close = (): void => {
    socket?.close();
    socket = undefined;
  };
  const write = (chunk: Buffer): number => {
    socket ??= new DgramSocket();
    let outcome: { readonly error?: Error | undefined } | undefined;
    socket.sendTo(chunk, 0, chunk.length, path, (error) => {
      outcome = { error };
    });
    if (outcome === undefined) {
      // It would keep the message and try again without a pause: a closed one does not.
      close();
      throw coded(new Error('the socket takes no datagram now'), 'EAGAIN');
    }
    const { error } = outcome;
    if (error !== undefined) throw coded(error, CODES[error.message] ?? 'EIO');
    return chunk.length;
  };
  return { chunkBytes: 0, encode, write, rest: close };
}

function coded(error: Error, code: string): Error {
  return Object.assign(error, { code });
}
