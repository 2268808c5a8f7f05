// The links to other members as far as consensus uses them; implemented by `cluster/peers.ts`.

import type { Member } from '../../membership/index.ts';

export interface PeerLinks {
  /** Number of connected peers. */
  readonly activeCount: number;
  /** Whether the link to another member has been up since before then, on the monotonic clock. */
  isConnectedSince(id: bigint, sinceMs: number): boolean;
  /** Number of members connected since then, this one included. */
  connectedCount(members: readonly Member[], sinceMs: number): number;
  /** The member whose link has been up longest; undefined if none is connected. */
  longestConnected(members: readonly Member[]): bigint | undefined;
}
