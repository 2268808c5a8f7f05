// Requests with an `Upgrade` field: a WebSocket of the gateway, or a request like any other. node:http gives
// a connection away at such a request as soon as anybody listens for it; what is no WebSocket goes back to
// the server, without the field.

import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Takes over the connection of a request; false if it is to be answered like any other. */
export type UpgradeHandler = (request: IncomingMessage, head: Buffer) => boolean;

/** Returns the connections that were taken over and are open; closing the server leaves them to its owner. */
export function serveUpgrades(server: HttpServer, handler: UpgradeHandler): ReadonlySet<Socket> {
  const taken = new Set<Socket>();
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (handler(request, head)) {
      taken.add(socket);
      socket.on('close', () => taken.delete(socket));
      // What owns it now hears of errors by its end.
      socket.on('error', () => undefined);
      return;
    }
    socket.unshift(Buffer.concat([Buffer.from(headWithoutUpgrade(request), 'latin1'), head]));
    server.emit('connection', socket);
  });
  return taken;
}

function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== 'upgrade')
      text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  }
  return `${text}\r\n`;
}
