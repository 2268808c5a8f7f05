// `tetcdctl lease`: the group of commands about leases.

import type { Command } from 'commander';
import { type CommandTree, GROUPS } from '../command.ts';
import { addLeaseGrant } from './lease-grant.ts';
import { addLeaseKeepAlive } from './lease-keep-alive.ts';
import { addLeaseList } from './lease-list.ts';
import { addLeaseRevoke } from './lease-revoke.ts';
import { addLeaseTimeToLive } from './lease-timetolive.ts';

export function addLease(parent: Command, tree: CommandTree): void {
  const lease = tree.add(parent, {
    name: 'lease',
    usage: '[command]',
    summary: 'grant, renew, show and end leases',
    group: GROUPS.KV,
  });
  addLeaseGrant(lease, tree);
  addLeaseKeepAlive(lease, tree);
  addLeaseList(lease, tree);
  addLeaseRevoke(lease, tree);
  addLeaseTimeToLive(lease, tree);
}
