// `tetcdctl endpoint`: the group of commands about single members.

import type { Command } from 'commander';
import { boolFlag } from '../../shell/flags.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import { addEndpointHashKv } from './endpoint-hashkv.ts';
import { addEndpointHealth } from './endpoint-health.ts';
import { addEndpointStatus } from './endpoint-status.ts';

export function addEndpoint(parent: Command, tree: CommandTree): void {
  const endpoint = tree.add(parent, {
    name: 'endpoint',
    usage: '[command]',
    summary: 'ask each endpoint for its state',
    group: GROUPS.CLUSTER,
    flags: [boolFlag({ flag: '--cluster', help: 'all endpoints that the member list names' })],
  });
  addEndpointHashKv(endpoint, tree);
  addEndpointHealth(endpoint, tree);
  addEndpointStatus(endpoint, tree);
}
