// A storm of logins: so many per second, whether the server keeps up or not.

import { LoadConnection, type Slot } from './connection.ts';
import type { Target } from './target.ts';
import { grpcMessage } from './workloads.ts';

export interface LoginOptions extends Target {
  readonly perSecond: number;
  readonly forMs: number;
  /** Used in turn. */
  readonly users: readonly { readonly name: string; readonly password: string }[];
}

export interface LoginResult {
  readonly sent: number;
  readonly succeeded: number;
  /** Answered with an error while the storm lasted. */
  readonly refused: number;
}

const TICK_MS = 5;
const CONNECTIONS = 20;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function runLogins(options: LoginOptions): Promise<LoginResult> {
  const { perSecond, forMs, users } = options;
  const requests = users.map((user) => grpcMessage('AuthenticateRequest', user));
  let broken: Error | undefined;
  const fail = (error: Error): void => {
    broken ??= error;
  };
  const path = '/etcdserverpb.Auth/Authenticate';
  const connections: LoadConnection[] = [];
  for (let i = 0; i < CONNECTIONS; i++) {
    connections.push(await LoadConnection.open(options, path, fail));
  }
  const counts = { sent: 0, succeeded: 0, refused: 0 };
  const slot: Slot = {
    wantsMessages: false,
    onMessage: () => {},
    onEnd: (status) => {
      if (status === 0) counts.succeeded++;
      else counts.refused++;
    },
  };
  const startedAt = performance.now();
  for (let elapsed = 0; elapsed < forMs; elapsed = performance.now() - startedAt) {
    const due = Math.floor((elapsed * perSecond) / 1000);
    for (; counts.sent < due; counts.sent++) {
      const connection = connections[counts.sent % CONNECTIONS]!;
      connection.call(requests[counts.sent % requests.length]!, slot);
    }
    for (const connection of connections) connection.flush();
    await pause(TICK_MS);
  }
  // Those that still wait for an answer are given up.
  for (const connection of connections) connection.close();
  if (broken !== undefined) throw broken;
  return counts;
}
