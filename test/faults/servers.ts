// Which programs the members of a fault run are.

import type { Server } from '../cluster/cluster-member.ts';
import { realProgram, serverUnderTest } from '../member.ts';
import { need, realEtcd } from '../real-etcd.ts';

export const SERVER_CHOICES = ['tetcd', '3.5', 'mixed'] as const;
export type ServerChoice = (typeof SERVER_CHOICES)[number];

// Little is kept of the log, so that a member that was away needs a snapshot.
const KEPT = 100;

export interface Servers {
  readonly servers: readonly Server[];
  readonly successors?: readonly Server[];
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
  const all = (server: Server): Servers => ({
    servers: Array.from({ length: members }, () => server),
  });
  switch (choice) {
    case 'tetcd':
      return all(ours());
    case '3.5':
      return all(theirs());
    case 'mixed': {
      const { program, flags = [] } = ours();
      const held = { program, flags: [...flags, '--max-cluster-version=3.5'] };
      const both = [held, theirs()];
      const servers = Array.from({ length: members }, (_, i) => both[i % 2]!);
      return { servers, successors: both };
    }
  }
}
