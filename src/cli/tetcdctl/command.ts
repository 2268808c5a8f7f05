// What the commands of `tetcdctl` share: a session with the cluster, and the groups in its help.

import type * as shell from '../shell/command.ts';
import type { Session } from './session.ts';

export interface Sessions {
  /**
   * Client and printer, by the global flags; made on the first call. Afterwards `options` include flags of
   * the parent groups that the environment sets.
   */
  session(): Promise<Session>;
  /** As `session`, without a client: for commands that make one for each endpoint. */
  sessionOfEndpoints(): Promise<Session>;
}

export type CommandTree = shell.CommandTree<Sessions>;

export const GROUPS = {
  KV: 'Keys and values:',
  CLUSTER: 'Cluster maintenance:',
  CONCURRENCY: 'Locks and elections:',
  AUTHENTICATION: 'Authentication:',
  UTILITY: 'Utilities:',
} as const;
