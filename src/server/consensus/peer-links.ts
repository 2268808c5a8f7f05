// What consensus asks of the links to the other members; `cluster/peers.ts` has them.

import type { Member } from '../../membership/index.ts';

export interface PeerLinks {
  /** How many peers are connected. */
  readonly activeCount: number;
  /** Whether the link to another member has been up since before then, on the monotonic clock. */
  isConnectedSince(id: bigint, sinceMs: number): boolean;
  /** How many of the members have been reachable since then, this one included. */
  connectedCount(members: readonly Member[], sinceMs: number): number;
  /** The member among them whose link has been up for longest; undefined if none is. */
  longestConnected(members: readonly Member[]): bigint | undefined;
}
