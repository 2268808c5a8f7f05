// Which programs the members of a fault run are.

import type { Server } from '../cluster/cluster-member.ts';
import { realProgram, serverUnderTest } from '../helpers/member.ts';
import { need, realEtcd } from '../helpers/real-etcd.ts';

export const SERVER_CHOICES = ['tetcd', '3.5', 'mixed'] as const;
export type ServerChoice = (typeof SERVER_CHOICES)[number];

// Little is kept of the log, so that a member that was away needs a snapshot.
const KEPT = 100;

/**
 * A leader of 3.5 that is stopped and continued ends leases that were renewed at its successor
 * meanwhile: it believes its own clock, and its proposals reach the new leader.
 */
const MISTAKES_OF_35: readonly string[] = ['lease ended early'];

export interface Servers {
  readonly servers: readonly Server[];
  readonly successors?: readonly Server[];
  /** Rules that real etcd is known to break. */
  readonly tolerated: readonly string[];
}

export function serversFor(choice: ServerChoice, members: number): Servers {
  const ours = (): Server => ({
    program: need(serverUnderTest()),
    flags: [`--snapshot-catchup-entries=${KEPT}`],
  });
  const theirs = (): Server => ({
    program: realProgram(need(realEtcd('3.5'))),
    flags: [`--experimental-snapshot-catchup-entries=${KEPT}`],
  });
  const all = (server: Server, tolerated: readonly string[]): Servers => ({
    servers: Array.from({ length: members }, () => server),
    tolerated,
  });
  switch (choice) {
    case 'tetcd':
      return all(ours(), []);
    case '3.5':
      return all(theirs(), MISTAKES_OF_35);
    case 'mixed': {
      const { program, flags = [] } = ours();
      const held = { program, flags: [...flags, '--max-cluster-version=3.5'] };
      const both = [held, theirs()];
      const servers = Array.from({ length: members }, (_, i) => both[i % 2]!);
      return { servers, successors: both, tolerated: MISTAKES_OF_35 };
    }
  }
}
