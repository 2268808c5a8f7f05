// Members whose log is short, so that others catch up by their database.

import type { Release } from '../helpers/real-etcd.ts';
import type { Server } from './cluster-member.ts';

export const SNAPSHOT_COUNT = 100;
/** Entries that a member which cuts its log often still has; 3.4 cannot be told. */
export const KEPT: Readonly<Record<Release, number>> = {
  '3.4': 5_000,
  '3.5': 50,
  '3.6': 50,
  '3.7': 50,
};
const KEPT_FLAG: Readonly<Record<Release, readonly string[]>> = {
  '3.4': [],
  '3.5': [`--experimental-snapshot-catchup-entries=${KEPT['3.5']}`],
  '3.6': [`--snapshot-catchup-entries=${KEPT['3.6']}`],
  '3.7': [`--snapshot-catchup-entries=${KEPT['3.7']}`],
};

export function snapshotsOften(server: Server): Server {
  const often = [`--snapshot-count=${SNAPSHOT_COUNT}`, ...KEPT_FLAG[server.program.release]];
  return { ...server, flags: [...(server.flags ?? []), ...often] };
}
